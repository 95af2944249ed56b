"""Risk-coverage curves: the share of wrong answers among the most confident ones."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class Answered:
    """The answers to N texts, and the gold ones.

    A model may have a label for texts that no other label fits; then predicting it counts as
    recognising such a text.

    Attributes:
        score: float32 [N], of the predicted label, calibrated as it will be served.
        predicted: [N] strings or columns.
        gold: [N] strings or columns.
        outside: The value in `gold` of texts that no label fits, None without such texts.
    """

    score: np.ndarray
    predicted: np.ndarray
    gold: np.ndarray
    outside: str | int | None = None

    @cached_property
    def right(self) -> np.ndarray:
        """Whether the predicted label is the gold one, bool [N]."""
        return np.asarray(self.predicted == self.gold)

    @cached_property
    def is_outside(self) -> np.ndarray:
        """Whether no label fits the text, bool [N]."""
        return _equal(self.gold, self.outside)

    @cached_property
    def says_outside(self) -> np.ndarray:
        """Whether the model predicts the label for texts that no other label fits, bool [N]."""
        return _equal(self.predicted, self.outside)

    def rows(self, rows: np.ndarray) -> Answered:
        """Select the texts of these row numbers."""
        return Answered(self.score[rows], self.predicted[rows], self.gold[rows], self.outside)


def _equal(values: np.ndarray, value: str | int | None) -> np.ndarray:
    return np.zeros(len(values), bool) if value is None else np.asarray(values == value)


@dataclass(frozen=True)
class Steps:
    """N texts, highest score first, in the M steps by which thresholds can include them.

    Attributes:
        order: int [N], row numbers.
        ends: int [M], how many texts are included by then.
        threshold: float32 [M], scores of it or above are included.
    """

    order: np.ndarray
    ends: np.ndarray
    threshold: np.ndarray


def sort_by_score(score: np.ndarray) -> Steps:
    """Group scores float32 [N], N > 0, into steps: equal scores are in one step.

    Thresholds lie half way to the next score, so that a rounding elsewhere changes no answer; the
    last one is 0, whatever new texts score.
    """
    score = np.asarray(score, np.float32)
    order = np.argsort(-score, kind="stable")
    ordered = score[order]
    ends = np.append(np.flatnonzero(np.diff(ordered)), len(ordered) - 1) + 1
    last, below = ordered[ends - 1], np.append(ordered[ends[:-1]], np.float32(0.0))
    middle = (last + below) / np.float32(2)
    threshold = np.where(middle > below, middle, last)
    threshold[-1] = 0.0
    return Steps(order, ends, threshold)


@dataclass(frozen=True)
class RiskCoverage:
    """Every different threshold, from the fewest answers to the most.

    Attributes:
        threshold: float32 [M], scores of it or above are answered.
        coverage: float [M], the share of texts that are answered.
        risk: float [M], the share of the answers that are wrong.
        area: See `risk_coverage`.
    """

    threshold: np.ndarray
    coverage: np.ndarray
    risk: np.ndarray
    area: float


def risk_coverage(answered: Answered) -> RiskCoverage:
    """Compute the curve and the area under it.

    The area is the mean risk over all numbers of answers from 1 to N; among texts of one score the
    wrong ones count as evenly spread.
    Source: Geifman et al. 2019, section 2 (https://arxiv.org/abs/1805.08206).
    """
    steps = sort_by_score(answered.score)
    texts = len(steps.order)
    sizes = np.diff(steps.ends, prepend=0)
    wrong = np.cumsum(~answered.right[steps.order])[steps.ends - 1]
    spread = np.repeat(np.diff(wrong, prepend=0) / sizes, sizes)
    area = float((np.cumsum(spread) / np.arange(1, texts + 1)).mean())
    return RiskCoverage(steps.threshold, steps.ends / texts, wrong / steps.ends, area)
