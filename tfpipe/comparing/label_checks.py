"""Whether two models know the gold labels that they are held against."""

from __future__ import annotations

from collections.abc import Mapping

from tfpipe.data.read_examples import Examples
from tfpipe.errors import UserError, raise_all
from tfpipe.tasks.task import Task
from tfpipe.text_display import list_few


def refuse_unknown_labels(examples: Examples, tasks: Mapping[str, Task]) -> None:
    """Raise UserError for gold labels that one of the models, by its name, does not know."""
    errors = []
    for name, task in tasks.items():
        try:
            task.refuse_unknown(examples)
        except UserError as error:
            errors.append(
                UserError(
                    f"{examples.path} has labels that {name} does not know",
                    error.found,
                    "remove these rows, or compare models that were trained on the same labels",
                )
            )
    raise_all(errors)


def note_other_labels(tasks: Mapping[str, Task]) -> list[str]:
    """Sentences about the labels that one of two models knows alone, none of them a gold label."""
    (a, known_a), (b, known_b) = ((name, set(task.label_names)) for name, task in tasks.items())
    only = {a: sorted(known_a - known_b), b: sorted(known_b - known_a)}
    return [
        f"{name} alone has the labels {list_few(more)}; no text here has one of them as gold"
        for name, more in only.items()
        if more
    ]
