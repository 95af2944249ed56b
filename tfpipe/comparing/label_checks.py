"""Checks of gold labels against the labels of two models."""

from __future__ import annotations

from collections.abc import Mapping

from tfpipe.data.examples import Examples
from tfpipe.errors import UserError, raise_all
from tfpipe.tasks.task import Task
from tfpipe.text_display import list_few


def refuse_unknown_labels(examples: Examples, tasks: Mapping[str, Task]) -> None:
    """Raise UserError for gold labels that one of the models was not trained on."""
    errors = []
    for name, task in tasks.items():
        try:
            task.refuse_unknown(examples)
        except UserError as error:
            errors.append(
                UserError(
                    f"{examples.path} has labels that {name} was not trained on",
                    error.found,
                    "remove these rows, or compare models that were trained on the same labels",
                )
            )
    raise_all(errors)


def note_other_labels(tasks: Mapping[str, Task]) -> list[str]:
    """Return notes of labels that only one of two models has; none of them is a gold label."""
    (a, labels_a), (b, labels_b) = ((name, {*task.label_names}) for name, task in tasks.items())
    only = {a: sorted(labels_a - labels_b), b: sorted(labels_b - labels_a)}
    return [
        f"{name} alone has the labels {list_few(more)}; no text here has one of them as gold"
        for name, more in only.items()
        if more
    ]
