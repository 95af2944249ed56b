"""Sections of a report as plain data, filled by the evaluation of a task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from tfpipe.stats.bootstrap import Interval
from tfpipe.tasks.calibration.selective import SelectiveMetrics
from tfpipe.tasks.calibration.temperature import Reliability
from tfpipe.tasks.excerpts import Piece


@dataclass(frozen=True)
class Baseline:
    """The metric of a constant answer.

    Attributes:
        answer: Given to every text.
        figure: The metric's name.
        value: Of the metric.
    """

    answer: str
    figure: str
    value: float


@dataclass(frozen=True)
class ClassRow:
    """Metrics of one label.

    Attributes:
        taken_for: The label most often given instead, and how often.
        threshold: The score from which the label is given (multilabel).
    """

    label: str
    precision: float
    recall: float
    f1: float
    support: int
    interval: Interval | None = None
    test_f1: float | None = None
    taken_for: tuple[str, int] | None = None
    threshold: float | None = None


@dataclass(frozen=True)
class PairRow:
    """Two labels confused `count` times, with the text confused with the highest score."""

    gold: str
    predicted: str
    count: int
    share: float
    example: str


@dataclass(frozen=True)
class Confusion:
    """A confusion matrix.

    Attributes:
        counts: int [K, K], rows gold.
        pairs: The most confused, worst first.
    """

    label_names: Sequence[str]
    counts: np.ndarray
    pairs: Sequence[PairRow]


@dataclass(frozen=True)
class Calibration:
    """Agreement of scores with the share of right answers.

    Attributes:
        answers: Of the scores as new texts will have them.
        temperature: By which logits are divided.
        raw_error: The expected calibration error before the temperature.
    """

    answers: Reliability
    temperature: float = 1.0
    raw_error: float | None = None


@dataclass(frozen=True)
class Abstention:
    """Costs and gains of a threshold on the score.

    Attributes:
        coverage: float [P], share of the texts answered.
        risk: float [P], share of wrong answers among them.
        threshold: The chosen one.
        chosen: Metrics on dev, which the threshold was chosen on.
        out_of_scope: The label of texts that no other label fits.
        expected: The same metrics with thresholds that were chosen on other texts.
        test: Metrics on test.
    """

    coverage: np.ndarray
    risk: np.ndarray
    threshold: float
    chosen: SelectiveMetrics
    out_of_scope: str | None = None
    expected: SelectiveMetrics | None = None
    test: SelectiveMetrics | None = None


@dataclass(frozen=True)
class Scatter:
    """Gold and predicted values, float [N] each (regress)."""

    gold: np.ndarray
    predicted: np.ndarray


@dataclass(frozen=True)
class Projection:
    """Vectors to be shown in TensorBoard's projector.

    Attributes:
        vectors: float32 [M, H].
        columns: Names of what is known of each.
        rows: Its values.
    """

    vectors: np.ndarray
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class MistakeRow:
    """One wrong answer.

    Attributes:
        score: The answer's confidence or error, None where it is unknown.
        question: Of a context.
        pieces: An excerpt around the answers, where the text alone would not show them.
    """

    text: str
    gold: str
    predicted: str
    score: float | None = None
    question: str = ""
    pieces: Sequence[Piece] = ()


@dataclass(frozen=True)
class Mistakes:
    """Wrong answers on dev.

    Attributes:
        rows: The worst, worst first.
        count: Of all wrong ones, None where answers are not simply right or wrong.
        kind: `confident` (labels by score), `decisions` (about labels, by score), `answers`,
            `entities`, `furthest` (by error) or `worst`.
        causes: How many entities were wrong in `limits`, `type` or `both`, `invented` or `missed`.
    """

    rows: Sequence[MistakeRow]
    count: int | None
    kind: str = "confident"
    causes: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Suspect:
    """An example whose gold label may be wrong.

    Attributes:
        gold_score: The model's score of the gold label.
        score: The model's score of the label that it proposes.
    """

    text: str
    gold: str
    proposed: str
    gold_score: float
    score: float


@dataclass(frozen=True)
class Suspects:
    """Examples whose gold labels may be wrong.

    Attributes:
        rows: The most suspicious.
        count: Of all suspicious examples.
        examined: Examples that were checked.
        method: Name of the method in the report's words, such as `confident_learning`.
    """

    rows: Sequence[Suspect]
    count: int
    examined: int
    method: str = "confident_learning"
