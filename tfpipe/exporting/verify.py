"""Proof that an export says what training says: reloaded in a fresh process, text by text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfpipe.data.read import Examples
from tfpipe.exporting.stranger import Answers, batches_of, join, open_as_stranger
from tfpipe.tasks.evaluation import Evaluation

TOLERANCE = 1e-5


@dataclass(frozen=True)
class Bounds:
    """What may differ: the share of texts with another label, and any score by so much."""

    other_labels: float
    difference: float


EXACT = Bounds(0.0, TOLERANCE)
# What products in a narrow type may change on the dev texts: a label in a thousand ...
NARROW = Bounds(0.001, 0.03)
# ... and on a few texts made to be hard, of which one label is already more than that.
NARROW_EDGES = Bounds(1.0, 0.05)


@dataclass(frozen=True)
class Parity:
    """How two answers to the same texts compare."""

    texts: int
    other_labels: int
    largest_difference: float

    @property
    def holds(self) -> bool:
        return self.within(EXACT)

    def within(self, bounds: Bounds) -> bool:
        """Whether no more differs than that."""
        few = self.other_labels <= bounds.other_labels * self.texts
        return few and self.largest_difference <= bounds.difference


def compare(export: Path, examples: Examples, expected: Evaluation) -> Parity:
    """Answers of the export, in a process that imports TensorFlow alone, against `expected`.

    Raises RuntimeError when the fresh process fails.
    """
    stranger = open_as_stranger(export, batches_of(examples))
    return hold_against(join(stranger.answered()), answers_of(expected))


def answers_of(evaluation: Evaluation) -> Answers:
    """What the training process answers."""
    names = np.array(evaluation.label_names)
    return Answers(names[evaluation.predicted], evaluation.scores)


def hold_against(answers: Answers, expected: Answers) -> Parity:
    """How `answers` compare with `expected`; raises RuntimeError where some are missing."""
    if answers.scores.shape != expected.scores.shape:
        raise RuntimeError(
            f"the export gives scores of shape {answers.scores.shape}, and"
            f" {expected.scores.shape} was expected"
        )
    difference = np.abs(answers.scores - expected.scores)
    return Parity(
        texts=len(answers),
        other_labels=int((answers.labels != expected.labels).sum()),
        largest_difference=float(difference.max(initial=0.0)),
    )


def hold_batches(batches: Sequence[Answers], expected: Sequence[Answers]) -> Parity:
    """As `hold_against`, where each batch must have the shape that is expected of it."""
    found = [hold_against(*pair) for pair in zip(batches, expected, strict=True)]
    return Parity(
        texts=sum(parity.texts for parity in found),
        other_labels=sum(parity.other_labels for parity in found),
        largest_difference=max(parity.largest_difference for parity in found),
    )
