"""Whoever answers texts: a run, an export or a server."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tfpipe.predicting.kinds import Answers, Kind

LONGEST_INPUT = 512


@dataclass(frozen=True)
class Answerer:
    """A model that answers batches of texts, from several threads at once.

    identity: which model it is, the same whenever the answers would be; inputs: names of the one
    or two texts that it reads of a row; label_names: in column order, None where the model does
    not tell them; max_length: tokens of an input; parallel: batches that it works on at once.
    """

    identity: str
    inputs: Sequence[str]
    kind: Kind
    label_names: Sequence[str] | None
    max_length: int
    parallel: int
    answer: Callable[[list[str], list[str] | None], Answers]

    @property
    def longest_row(self) -> int | None:
        """Tokens that are read of a row at most; None where windows read all of it."""
        return None if "context" in self.inputs else self.max_length
