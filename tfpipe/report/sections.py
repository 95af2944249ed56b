"""What the sections of a report hold. A report has the sections that its task can fill."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from tfpipe.data.unknown import UnknownTokens
from tfpipe.report.excerpts import Piece
from tfpipe.report.intervals import Interval
from tfpipe.tasks.scores.abstain import Figures as HeldBack
from tfpipe.tasks.scores.calibration import Reliability


@dataclass(frozen=True)
class Figures:
    """A part's figures, as in metrics.json, with the intervals of those that have one."""

    values: Mapping[str, float]
    intervals: Mapping[str, Interval] = field(default_factory=dict)


@dataclass(frozen=True)
class Baseline:
    """What the dumbest answer would reach: always `answer`, with `value` for `figure`."""

    answer: str
    figure: str
    value: float


@dataclass(frozen=True)
class Part:
    """A file of examples: `train`, `dev` or `test`; empty: texts without a visible character."""

    name: str
    rows: int
    source: str
    empty: int = 0


@dataclass(frozen=True)
class Twin:
    """An example that stands in two parts; exact: not only equal after normalising."""

    text: str
    label: str
    other_label: str
    exact: bool


@dataclass(frozen=True)
class Overlap:
    """Examples of `part` that are in `other`, too.

    exact, alike: how many, equal as they are and equal after normalising (which includes the
    exact ones); differing: those of them whose labels differ; twins: some, the differing first;
    figure, without: name and value of a figure of `part` over the examples that remain.
    """

    part: str
    other: str
    exact: int
    alike: int
    differing: int = 0
    twins: Sequence[Twin] = ()
    figure: str | None = None
    without: float | None = None


@dataclass(frozen=True)
class Lengths:
    """Tokens of the train inputs with specials, before truncation.

    percentiles: (percent, tokens); truncated: share that is longer than `limit`; proposed: a limit
    that holds 99 %; in_windows: whether longer ones are read in several windows, and nothing is
    cut off.
    """

    percentiles: Sequence[tuple[int, int]]
    limit: int
    truncated: float
    proposed: int
    in_windows: bool = False


@dataclass(frozen=True)
class Data:
    """What was trained on and looked at.

    label_counts: (label, rows in train, in dev), the most frequent first; repeated: train rows
    whose text stood before; contradictions: (text, labels) of train texts with several labels;
    unknown: the tokens that the vocabulary lacks.
    """

    parts: Sequence[Part]
    columns: Sequence[str] = ()
    label_counts: Sequence[tuple[str, int, int]] = ()
    repeated: int = 0
    contradictions: int = 0
    contradiction: tuple[str, Sequence[str]] | None = None
    lengths: Lengths | None = None
    overlaps: Sequence[Overlap] = ()
    unknown: UnknownTokens | None = None


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
    chosen: HeldBack
    out_of_scope: str | None = None
    expected: HeldBack | None = None
    test: HeldBack | None = None


@dataclass(frozen=True)
class Scatter:
    """Gold and predicted values, float [N] each (regress)."""

    gold: np.ndarray
    predicted: np.ndarray


@dataclass(frozen=True)
class SliceRow:
    """One slice: how many texts, and its figure with the interval."""

    name: str
    count: int
    value: float
    interval: Interval | None = None


@dataclass(frozen=True)
class Slices:
    """The same figure over parts of dev.

    kind: `length` (tokens), `context` (tokens of question and context), `characters`, `script` or
    `source`; overall: the figure over all of dev; rising:
    whether higher is better.
    """

    kind: str
    figure: str
    overall: float
    rows: Sequence[SliceRow]
    rising: bool = True

    def is_weak(self, row: SliceRow) -> bool:
        """Whether the slice's interval lies wholly on the worse side of the whole."""
        if row.interval is None or row.count == 0:
            return False
        if self.rising:
            return row.interval.high < self.overall
        return row.interval.low > self.overall


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
