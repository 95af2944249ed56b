"""The end of training: after which epoch, and which epoch's weights were kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Ending:
    """The end of a training run.

    Attributes:
        done: Epochs trained.
        planned: Epochs configured.
        best: The epoch whose weights were kept, counted from 1.
    """

    done: int
    planned: int
    best: int

    @classmethod
    def of(cls, history: Sequence[Mapping[str, Any]], planned: int) -> Ending:
        """Describe a finished run with this history, one record an epoch."""
        best = [record["epoch"] for record in history if record["best"]][-1]
        return cls(history[-1]["epoch"], planned, best)

    @property
    def early(self) -> bool:
        """Whether early stopping ended training before its last epoch."""
        return self.done < self.planned

    def __str__(self) -> str:
        if self.early:
            return f"stopped after epoch {self.done} of {self.planned}, best {self.best}"
        return f"ended after epoch {self.done} of {self.planned}, best {self.best}"
