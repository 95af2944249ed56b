"""Recognition of the task of a data file by its format or labels."""

from __future__ import annotations

from pathlib import Path

from tfpipe.data.examples import Examples
from tfpipe.data.read_examples import task_of_format
from tfpipe.doctoring.findings import Finding, note
from tfpipe.tasks import TASKS

DEFAULT = next(iter(TASKS))


def is_labelled(path: Path, examples: Examples) -> bool:
    """Return whether a file has labels.

    Args:
        path: The file.
        examples: Its examples, read without labels.
    """
    spec = task_of_format(path)
    if spec is None or spec.file_format is None:
        return examples.labels is not None
    return spec.file_format.has_labels.load()(path)


def find_task(path: Path, examples: Examples) -> tuple[str, list[Finding]]:
    """Return the task, and a note where labels look like those of another than the default task.

    Args:
        path: The file.
        examples: Its examples, with labels unless its format has one task only.
    """
    spec = task_of_format(path)
    if spec is not None:
        return spec.name, []
    labels = {label for label in examples.labels or () if label.strip()}
    # Tasks with the most specific labels come last in the registry.
    for spec in reversed(TASKS.values()) if labels else ():
        recognise = spec.recognise.load() if spec.recognise else None
        found = recognise(labels, examples.text_pairs is not None) if recognise else None
        if found is not None:
            return spec.name if found.certain else DEFAULT, [
                note("task", found.sentence, spec.name)
            ]
    return DEFAULT, []
