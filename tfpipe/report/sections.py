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


@dataclass(frozen=True)
class ChangeRow:
    """What one change of texts does to the answers.

    Attributes:
        name: Of the change.
        texts: Number of texts that it changes; the others are not counted.
        before: The metric on them as they were.
        after: On them changed; both None where it changes none.
        kept: Share of the answers that stay; None of a task whose answers are not names.
    """

    name: str
    texts: int
    before: float | None
    after: float | None
    kept: float | None


@dataclass(frozen=True)
class AttackRow:
    """A text whose answer an attack has turned."""

    text: str
    changed: str
    gold: str
    answer: str


@dataclass(frozen=True)
class Attack:
    """The result of an attack.

    Attributes:
        texts: Number of texts.
        before: Accuracy on them.
        after: Under the attack.
        edits: Words of a text that are misspelt at most.
        examples: Some texts whose answer it has turned.
    """

    texts: int
    before: float
    after: float
    edits: int
    examples: Sequence[AttackRow] = ()


@dataclass(frozen=True)
class ExpectationRow:
    """An expectation that is not met, with the answers to both texts."""

    text: str
    changed: str
    expect: str
    answer: str
    changed_answer: str


@dataclass(frozen=True)
class Expectations:
    """The result of a file of expectations.

    Attributes:
        source: The file.
        count: Its rows.
        failures: Those that are not met.
    """

    source: str
    count: int
    failures: Sequence[ExpectationRow] = ()


@dataclass(frozen=True)
class Robustness:
    """Answers to changed texts.

    Attributes:
        source: The file of the texts, and their number.
        figure: Name of the metric.
        share: Of the places of a text that a change edits.
        changes: What each change does.
        attack: None where there was none.
        expectations: None where there were none.
    """

    source: str
    figure: str
    share: float
    changes: Sequence[ChangeRow] = ()
    attack: Attack | None = None
    expectations: Expectations | None = None

    @property
    def metrics(self) -> dict[str, float]:
        """One figure each, for requirements.

        Of a change the share of answers that stay, or the metric where answers are not names; under
        `attack` the accuracy, under `expectations` the share that is met.
        """
        figures = {row.name: row.after if row.kept is None else row.kept for row in self.changes}
        found = {name: value for name, value in figures.items() if value is not None}
        if self.attack:
            found["attack"] = self.attack.after
        if self.expectations:
            met = self.expectations.count - len(self.expectations.failures)
            found["expectations"] = met / self.expectations.count
        return found


@dataclass(frozen=True)
class Latency:
    """Milliseconds of an answer to a batch of texts: the median, and what 95 % do not exceed."""

    batch: int
    p50: float
    p95: float


@dataclass(frozen=True)
class ModelFigures:
    """Size, speed and quality of a run's model.

    Attributes:
        run: The run's folder.
        vocabulary: Number of tokens.
        layers: Number of layers.
        heads: Attention heads of each layer.
        ffn: Inner units of each feed-forward layer.
        parameters: Number of parameters.
        megabytes: Size of the model's files.
        latencies: Times of the graph of an export, by size of batch.
        dev: Metrics on dev.
    """

    run: str
    vocabulary: int
    layers: int
    heads: int
    ffn: int
    parameters: int
    megabytes: float
    latencies: Sequence[Latency]
    dev: MeasuredMetrics


@dataclass(frozen=True)
class Compression:
    """A run before and after its compression.

    Attributes:
        before: The original.
        after: The smaller one.
        texts: Number of dev examples.
        same: Share of these with equal answers.
        p_value: Of the exact test that both are equally often right on dev (McNemar 1947); where
            wrong answers can be more or less wrong, equally often the better one.
        lost: Share of dev tokens that the trimmed vocabulary lacks; None where it was not trimmed.
    """

    before: ModelFigures
    after: ModelFigures
    texts: int
    same: float
    p_value: float
    lost: float | None = None
