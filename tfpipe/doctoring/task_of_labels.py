"""The task that a data file's labels are for, as far as they show it."""

from __future__ import annotations

from pathlib import Path

from tfpipe.data.read_examples import Examples, task_of_format
from tfpipe.doctoring.findings import Finding, note
from tfpipe.tasks import TASKS

DEFAULT = next(iter(TASKS))


def is_labelled(path: Path, examples: Examples) -> bool:
    """Whether there is something to learn from; examples: the file's, as read without labels."""
    spec = task_of_format(path)
    if spec is None or spec.file_format is None:
        return examples.labels is not None
    return spec.file_format.has_labels.load()(path)


def find_task(path: Path, examples: Examples) -> tuple[str, list[Finding]]:
    """The task, and a note where a file with a label column does not look like the default one.

    examples: with their labels, but of a format that is one task's alone.
    """
    spec = task_of_format(path)
    if spec is not None:
        return spec.name, []
    labels = {label for label in examples.labels or () if label.strip()}
    # Those with the most particular labels come last in the registry.
    for spec in reversed(TASKS.values()) if labels else ():
        recognise = spec.recognise.load() if spec.recognise else None
        found = recognise(labels, examples.text_pairs is not None) if recognise else None
        if found is not None:
            return spec.name if found.certain else DEFAULT, [
                note("task", found.sentence, spec.name)
            ]
    return DEFAULT, []
