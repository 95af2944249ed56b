"""Proof that an export says what training says: reloaded in a fresh process, text by text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfpipe.data.read_examples import Examples
from tfpipe.exporting.clean_process import (
    Answers,
    as_answers,
    batches_of,
    join,
    run_in_clean_process,
)
from tfpipe.tasks.task import Task, TaskEvaluation

TOLERANCE = 1e-5


@dataclass(frozen=True)
class Bounds:
    """What may differ: the share of texts with another label, and any score by so much.

    A label is whatever is no float, such as which labels apply, or where an entity begins.
    """

    other_labels: float
    difference: float


EXACT = Bounds(0.0, TOLERANCE)
# What products in a narrow type may change on the dev texts: a label in a thousand ...
NARROW = Bounds(0.001, 0.03)
# ... and on a few texts made to be hard, of which one label is already more than that.
NARROW_EDGES = Bounds(1.0, 0.05)


@dataclass(frozen=True)
class Parity:
    """How two answers to the same texts compare; differences are in the task's unit."""

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


def compare(export: Path, task: Task, examples: Examples, expected: TaskEvaluation) -> Parity:
    """Answers of the export, in a process that imports TensorFlow alone, against `expected`.

    Raises RuntimeError when the fresh process fails.
    """
    stranger = run_in_clean_process(export, batches_of(examples, task))
    return compare_answers(join(stranger.answered()), as_answers(expected.outputs), task.unit)


def compare_answers(answers: Answers, expected: Answers, unit: float = 1.0) -> Parity:
    """How `answers` compare with `expected`; raises RuntimeError where some are missing.

    unit: what a difference of floats is measured in.
    """
    if any(values.ndim == 2 and values.dtype.kind == "U" for values in expected.values()):
        # Rows of as many entities as the longest has are filled up to the longest of both.
        answers, expected = _widen(answers, expected), _widen(expected, answers)
    found = {name: values.shape for name, values in sorted(answers.items())}
    wanted = {name: values.shape for name, values in sorted(expected.items())}
    if found != wanted:
        raise RuntimeError(f"the export gives outputs of shape {found}, and {wanted} was expected")
    texts = max(len(values) for values in expected.values())
    other, largest = np.zeros(texts, bool), 0.0
    for name, values in expected.items():
        if values.dtype.kind == "f":
            apart = _differences(answers[name], values, unit)
            # The score of another entity, or of another answer, is no other score; it is a number.
            compared = _same_subject(answers, expected, values.shape) | np.isnan(apart)
            apart = np.where(compared, apart, 0.0)
            # NumPy's, here and below: Python's max passes over a NaN.
            largest = float(np.maximum(largest, apart.max(initial=0.0)))
        else:
            differs = answers[name] != values
            other |= differs.reshape(texts, -1).any(axis=1) if texts else other
    return Parity(texts, int(other.sum()), largest)


def _widen(answers: Answers, other: Answers) -> Answers:
    """`answers`, with columns as wide as those of `other`, where it has such."""
    return {
        name: join([{name: values}, {name: other[name][:0]}])[name]
        if name in other and other[name].ndim == values.ndim
        else values
        for name, values in answers.items()
    }


def _same_subject(answers: Answers, expected: Answers, shape: tuple[int, ...]) -> np.ndarray:
    """bool of `shape`: where all words and places of that shape are the same in both answers."""
    same = np.ones(shape, bool)
    for name, values in expected.items():
        if values.shape == shape and values.dtype.kind in "Ui":
            same &= answers[name] == values
    return same


def _differences(values: np.ndarray, expected: np.ndarray, unit: float) -> np.ndarray:
    # What float32 rounds away of a value that is many units large says nothing about the model.
    size = np.abs(expected.astype(np.float64)) / unit
    rounded = 4 * np.finfo(np.float32).eps * np.maximum(size - 1.0, 0.0)
    apart = np.abs(values.astype(np.float64) - expected.astype(np.float64)) / unit
    return np.maximum(apart - rounded, 0.0)


def compare_batches(
    batches: Sequence[Answers], expected: Sequence[Answers], unit: float = 1.0
) -> Parity:
    """As `compare_answers`, where each batch must have the shape that is expected of it."""
    found = [compare_answers(*pair, unit) for pair in zip(batches, expected, strict=True)]
    return Parity(
        texts=sum(parity.texts for parity in found),
        other_labels=sum(parity.other_labels for parity in found),
        largest_difference=float(np.max([parity.largest_difference for parity in found])),
    )
