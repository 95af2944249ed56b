"""Sections of a report that are not computed by an evaluation (see tasks/sections.py)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tfpipe.data.near_labels import LabelNotes
from tfpipe.data.unknown_tokens import UnknownTokens
from tfpipe.stats.bootstrap import Interval


@dataclass(frozen=True)
class MeasuredMetrics:
    """Metrics on dev or test.

    Attributes:
        values: Metrics by name, as in metrics.json.
        intervals: Confidence intervals of those that have one.
    """

    values: Mapping[str, float]
    intervals: Mapping[str, Interval] = field(default_factory=dict)


@dataclass(frozen=True)
class Part:
    """A split.

    Attributes:
        name: `train`, `dev` or `test`.
        rows: Number of examples.
        source: Its file.
        empty: Number of texts without a visible character.
    """

    name: str
    rows: int
    source: str
    empty: int = 0


@dataclass(frozen=True)
class Twin:
    """An example that is in two splits.

    Attributes:
        text: Its text.
        label: Its label in the first split.
        other_label: Its label in the second split.
        exact: Whether the texts are equal without normalising.
    """

    text: str
    label: str
    other_label: str
    exact: bool


@dataclass(frozen=True)
class Overlap:
    """Examples of a split that are in another one, too.

    Attributes:
        part: The split.
        other: The other split.
        exact: Number of equal texts.
        alike: Number of texts that are equal after normalising, with the exact ones.
        differing: Number of those with different labels.
        twins: Some of them, those with different labels first.
        figure: Name of a metric of `part`.
        without: Its value over the remaining examples.
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

    Attributes:
        percentiles: (percent, tokens).
        limit: Tokens of an input.
        truncated: Share of the inputs that are longer.
        proposed: A limit that fits 99 % of the inputs.
        in_windows: Whether longer inputs are read in several windows instead of truncated.
    """

    percentiles: Sequence[tuple[int, int]]
    limit: int
    truncated: float
    proposed: int
    in_windows: bool = False


@dataclass(frozen=True)
class Data:
    """Data section.

    Attributes:
        parts: The splits.
        columns: Names of the columns.
        label_counts: (label, rows in train, in dev), the most frequent first.
        repeated: Number of train rows whose text occurred before.
        contradictions: Number of train texts with several labels.
        contradiction: One of them with its labels.
        lengths: Tokens of the train inputs.
        overlaps: Examples in two splits.
        label_notes: Blanks that were removed, and labels that are nearly equal.
        decisions: How the files were read where that is not evident, and what was left out.
        unknown: Tokens that are not in the vocabulary.
    """

    parts: Sequence[Part]
    columns: Sequence[str] = ()
    label_counts: Sequence[tuple[str, int, int]] = ()
    repeated: int = 0
    contradictions: int = 0
    contradiction: tuple[str, Sequence[str]] | None = None
    lengths: Lengths | None = None
    overlaps: Sequence[Overlap] = ()
    label_notes: LabelNotes = field(default_factory=LabelNotes)
    decisions: Sequence[str] = ()
    unknown: UnknownTokens | None = None


@dataclass(frozen=True)
class SliceRow:
    """A slice.

    Attributes:
        name: Its name.
        count: Number of texts.
        value: Its metric.
        interval: Confidence interval of the metric.
    """

    name: str
    count: int
    value: float
    interval: Interval | None = None


@dataclass(frozen=True)
class Slices:
    """A metric over subsets of dev.

    Attributes:
        kind: `length` (tokens), `context` (tokens of question and context), `characters`, `script`
            or `source`.
        figure: Name of the metric.
        overall: The metric over all of dev.
        rows: The slices.
        rising: Whether higher is better.
    """

    kind: str
    figure: str
    overall: float
    rows: Sequence[SliceRow]
    rising: bool = True

    def is_weak(self, row: SliceRow) -> bool:
        """Return whether the whole interval of a slice is worse than the overall metric."""
        if row.interval is None or row.count == 0:
            return False
        if self.rising:
            return row.interval.high < self.overall
        return row.interval.low > self.overall
