"""What an evaluation gives to a report: plain data, one class for each section."""

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
    """What the dumbest answer would reach: always `answer`, with `value` for `figure`."""

    answer: str
    figure: str
    value: float


@dataclass(frozen=True)
class ClassRow:
    """Figures of one label; taken_for: the label that it is most often given instead, and how
    often; threshold: the score from which it is given (multilabel)."""

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
    """Two labels mixed up `count` times, with the text that was so with the highest score."""

    gold: str
    predicted: str
    count: int
    share: float
    example: str


@dataclass(frozen=True)
class Confusion:
    """counts: int [K, K], rows gold; pairs: the worst, worst first."""

    label_names: Sequence[str]
    counts: np.ndarray
    pairs: Sequence[PairRow]


@dataclass(frozen=True)
class Calibration:
    """How far scores can be read as chances.

    answers: of the scores as new texts will have them; raw_error: the expected calibration error
    before the temperature.
    """

    answers: Reliability
    temperature: float = 1.0
    raw_error: float | None = None


@dataclass(frozen=True)
class Abstention:
    """What a threshold on the score costs and brings.

    coverage, risk: float [P], share of the texts answered and share of wrong answers among them;
    chosen: what the threshold does to dev, which it was chosen on; out_of_scope: the label of texts
    that no other fits; expected: the same figures with thresholds that were chosen on other texts;
    test: what the threshold does to test.
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
class MistakeRow:
    """One wrong answer.

    score: how sure it was or how far it is off, None where it is unknown; question: what was asked;
    pieces: what surrounds the answers in the text, where the text alone would not show them.
    """

    text: str
    gold: str
    predicted: str
    score: float | None = None
    question: str = ""
    pieces: Sequence[Piece] = ()


@dataclass(frozen=True)
class Mistakes:
    """rows: the worst answers on dev, the worst first; count: of all wrong ones, None where no
    answer is simply wrong; kind: `confident` (labels by score), `decisions` (about labels, by
    score), `answers`, `entities`, `furthest` (by error) or `worst`; causes: how many entities were
    wrong in `limits`, `type` or `both`, `invented` or `missed`."""

    rows: Sequence[MistakeRow]
    count: int | None
    kind: str = "confident"
    causes: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Suspect:
    """An example whose gold label may be wrong; gold_score, score: what the model gives the gold
    label and the one that it proposes."""

    text: str
    gold: str
    proposed: str
    gold_score: float
    score: float


@dataclass(frozen=True)
class Suspects:
    """rows: the most suspicious of `count` examples among `examined`; method: the wording's name
    of how they were found, such as `confident_learning`."""

    rows: Sequence[Suspect]
    count: int
    examined: int
    method: str = "confident_learning"
