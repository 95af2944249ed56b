"""Whoever answers texts: a run, an export or a server."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from tfpipe.tasks import TASKS
from tfpipe.tasks.output_schema import Answers
from tfpipe.tasks.spec import TaskSpec

LONGEST_INPUT = 512


@dataclass(frozen=True)
class Predictor:
    """A model that answers batches of texts, from several threads at once.

    identity: which model it is, the same whenever the answers would be; inputs: names of the one
    or two texts that it reads of a row; spec: of its task; label_names: in column order, None where
    the model does not tell them; max_length: tokens of an input; parallel: batches that it works on
    at once.
    """

    identity: str
    inputs: Sequence[str]
    spec: TaskSpec
    label_names: Sequence[str] | None
    max_length: int
    parallel: int
    answer: Callable[[list[str], list[str] | None], Answers]

    @property
    def longest_row(self) -> int | None:
        """Tokens that are read of a row at most; None where windows read all of it."""
        return None if self.spec.always_windows else self.max_length


def spec_of(
    inputs: Collection[str], outputs: Collection[str], name: str | None = None
) -> TaskSpec | None:
    """The task of a model by what its serving_default reads and returns; None for no known one.

    Args:
        inputs: Names of its inputs.
        outputs: Names of its outputs.
        name: The task that the model's `info` names; others may have the same outputs.
    """
    specs = [spec for spec in TASKS.values() if spec.schema.load().fits(inputs, outputs)]
    named = [spec for spec in specs if spec.name == name]
    return next(iter(named or specs), None)
