"""Comparison of two models' answers to the same texts, and the tolerances of an export."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfpipe.data.examples import Examples
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
    """Tolerances of a comparison.

    A label is any output that is not a float, such as the labels that apply, or an entity's start.

    Attributes:
        other_labels: Share of the texts that may have another label.
        difference: Largest difference of a score, in the task's unit.
    """

    other_labels: float
    difference: float


EXACT = Bounds(0.0, TOLERANCE)
# Products in a narrow type may change one label in a thousand on the dev texts ...
NARROW = Bounds(0.001, 0.03)
# ... and any label of the few edge texts, where a single one is already more than that.
NARROW_EDGES = Bounds(1.0, 0.05)
# Weights and activations of 8 bits may change one label in two hundred; no text may be far off.
INT8 = Bounds(0.005, 0.35)
INT8_EDGES = Bounds(1.0, 0.5)


def bounds_of(precision: str) -> tuple[Bounds, Bounds]:
    """Return the tolerances of an export in a precision: on dev, and on the edge texts."""
    if precision == "int8":
        return INT8, INT8_EDGES
    return (EXACT, EXACT) if precision == "float32" else (NARROW, NARROW_EDGES)


@dataclass(frozen=True)
class Parity:
    """Differences of two models' answers to the same texts.

    Attributes:
        texts: Number of texts.
        other_labels: Texts with another label.
        largest_difference: Of a score, in the task's unit; NaN where a score is NaN.
    """

    texts: int
    other_labels: int
    largest_difference: float

    @property
    def holds(self) -> bool:
        """Whether the answers are equal within 1e-5."""
        return self.within(EXACT)

    def within(self, bounds: Bounds) -> bool:
        """Return whether the differences are within the bounds."""
        few = self.other_labels <= bounds.other_labels * self.texts
        return few and self.largest_difference <= bounds.difference


def compare(export: Path, task: Task, examples: Examples, expected: TaskEvaluation) -> Parity:
    """Compare an export's answers, in a process that imports TensorFlow alone, with `expected`.

    Raises:
        RuntimeError: The process fails.
    """
    result = run_in_clean_process(export, batches_of(examples, task))
    return compare_answers(join(result.answered()), as_answers(expected.outputs), task.unit)


def compare_answers(answers: Answers, expected: Answers, unit: float = 1.0) -> Parity:
    """Compare answers with the expected ones.

    Args:
        answers: Outputs by name, [N, ...] each.
        expected: The same of the other model.
        unit: Unit of the differences of floats.

    Raises:
        RuntimeError: Names or shapes of the outputs differ.
    """
    if any(values.ndim == 2 and values.dtype.kind == "U" for values in expected.values()):
        # Rows of entities are padded to the longest row of both.
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
            # Scores of different entities or answers are not comparable, but must not be NaN.
            compared = _same_subject(answers, expected, values.shape) | np.isnan(apart)
            apart = np.where(compared, apart, 0.0)
            # NumPy's maximum, here and below: Python's max ignores a NaN.
            largest = float(np.maximum(largest, apart.max(initial=0.0)))
        else:
            differs = answers[name] != values
            other |= differs.reshape(texts, -1).any(axis=1) if texts else other
    return Parity(texts, int(other.sum()), largest)


def _widen(answers: Answers, other: Answers) -> Answers:
    """Pad the columns of `answers` to the width of those of `other`."""
    return {
        name: join([{name: values}, {name: other[name][:0]}])[name]
        if name in other and other[name].ndim == values.ndim
        else values
        for name, values in answers.items()
    }


def _same_subject(answers: Answers, expected: Answers, shape: tuple[int, ...]) -> np.ndarray:
    """Return bool of `shape`: where all strings and positions of that shape are equal."""
    same = np.ones(shape, bool)
    for name, values in expected.items():
        if values.shape == shape and values.dtype.kind in "Ui":
            same &= answers[name] == values
    return same


def _differences(values: np.ndarray, expected: np.ndarray, unit: float) -> np.ndarray:
    # Rounding of float32 is no difference of the models: it is large for a value of many units.
    size = np.abs(expected.astype(np.float64)) / unit
    rounded = 4 * np.finfo(np.float32).eps * np.maximum(size - 1.0, 0.0)
    apart = np.abs(values.astype(np.float64) - expected.astype(np.float64)) / unit
    return np.maximum(apart - rounded, 0.0)


def compare_batches(
    batches: Sequence[Answers], expected: Sequence[Answers], unit: float = 1.0
) -> Parity:
    """Compare answers as `compare_answers` does; each batch must have the expected shape."""
    return join_parities(
        [compare_answers(*pair, unit) for pair in zip(batches, expected, strict=True)]
    )


def join_parities(parities: Sequence[Parity]) -> Parity:
    """Return the parity of the texts of several comparisons."""
    return Parity(
        texts=sum(parity.texts for parity in parities),
        other_labels=sum(parity.other_labels for parity in parities),
        largest_difference=float(np.max([parity.largest_difference for parity in parities])),
    )
