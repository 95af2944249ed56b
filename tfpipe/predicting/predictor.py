"""Prediction backend: a local run, a SavedModel, or a remote server."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from tfpipe.tasks import TASKS
from tfpipe.tasks.output_schema import Answers, Outputs
from tfpipe.tasks.spec import TaskSpec

LONGEST_INPUT = 512


@dataclass(frozen=True)
class Predictor:
    """A model that answers batches of texts, from several threads at once.

    Attributes:
        identity: Identifies the model: the same text means the same answers.
        inputs: Names of the one or two texts of a row.
        spec: Specification of its task.
        label_names: Names in column order; None where the model does not give them.
        max_length: Tokens of an input.
        parallel: Batches that it works on at the same time.
        outputs: Takes the texts and second texts (or None) of a batch and returns the arrays of
            serving_default.
    """

    identity: str
    inputs: Sequence[str]
    spec: TaskSpec
    label_names: Sequence[str] | None
    max_length: int
    parallel: int
    outputs: Callable[[list[str], list[str] | None], Outputs]

    def answer(self, texts: list[str], text_pairs: list[str] | None) -> Answers:
        """Answer a batch: the columns that a file of answers has."""
        return self.spec.schema.load().write(self.outputs(texts, text_pairs), self.label_names)

    @property
    def longest_row(self) -> int | None:
        """Tokens that are read of a row at most; None where windows cover all of it."""
        return None if self.spec.always_windows else self.max_length


def spec_of(
    inputs: Collection[str], outputs: Collection[str], name: str | None = None
) -> TaskSpec | None:
    """Return the task whose inputs and outputs a model's serving_default has, or None.

    Args:
        inputs: Names of its inputs.
        outputs: Names of its outputs.
        name: The task that the model's `info` names; others may have the same outputs.
    """
    specs = [spec for spec in TASKS.values() if spec.schema.load().fits(inputs, outputs)]
    named = [spec for spec in specs if spec.name == name]
    return next(iter(named or specs), None)
