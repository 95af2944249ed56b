"""What the sections of a report hold beside those that an evaluation fills (tasks/sections.py)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tfpipe.data.near_labels import LabelNotes
from tfpipe.data.unknown_tokens import UnknownTokens
from tfpipe.stats.bootstrap import Interval


@dataclass(frozen=True)
class MeasuredMetrics:
    """A part's figures, as in metrics.json, with the intervals of those that have one."""

    values: Mapping[str, float]
    intervals: Mapping[str, Interval] = field(default_factory=dict)


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
    label_notes: blanks that were removed, and labels that are nearly equal; unknown: the tokens
    that the vocabulary lacks.
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
    unknown: UnknownTokens | None = None


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
