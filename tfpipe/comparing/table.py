"""Text table of a comparison."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tfpipe.comparing.changes import Change, LabelChange, count_kinds
from tfpipe.comparing.result import Comparison, metric_title
from tfpipe.stats.bootstrap import Difference
from tfpipe.text_display import align_columns, shorten

WIDEST_TEXT, WIDEST_LABEL = 80, 40


def render_table(found: Comparison, show: int) -> Iterator[str]:
    """Yield the lines: metrics, and up to `show` labels and `show` texts of those that change."""
    yield f"A: {found.a}"
    yield f"B: {found.b}"
    yield f"on {found.texts:,} texts of {found.data}"
    yield ""
    yield found.verdict[0].upper() + found.verdict[1:] + "."
    yield from (f"Note: {note}." for note in found.notes)
    yield ""
    interval = f"{found.confidence * 100:g} % interval"
    header: tuple[str, ...] = ("metric", "A", "B", "B - A", interval, "p")
    yield from _aligned([header, *map(_metric_row, found.differences)])
    drawings = min(one.drawings for one in found.differences)
    yield f"  intervals and p: paired bootstrap, {drawings:,} drawings"
    yield ""
    yield _count_agreement(found)
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in count_kinds(found.changes).items())
    yield f"{len(found.changes):,} texts have different answers{': ' if kinds else ''}{kinds}"
    changed = [label for label in found.labels if label.f1_a != label.f1_b]
    if changed and show:
        yield ""
        yield f"labels whose F1 changes most ({len(changed):,} of {len(found.labels):,} change):"
        header = ("support", "recall in A", "in B", "F1 in A", "in B", "B - A", "label")
        yield from _aligned([header, *map(_label_row, changed[:show])])
    if found.changes and show:
        yield ""
        yield f"texts that change most ({found.quality}, in A and in B):"
        for change in found.changes[:show]:
            yield from _describe_change(change)


def _count_agreement(found: Comparison) -> str:
    counts = found.agreement
    if found.graded:
        return (
            f"{counts.only_b:,} answered better by B, {counts.only_a:,} by A,"
            f" {counts.both + counts.neither:,} alike;"
            f" exact sign test: p = {counts.p_value:.3g}"
        )
    return (
        f"{counts.both:,} right in both, {counts.only_a:,} in A only, {counts.only_b:,} in B"
        f" only, {counts.neither:,} in neither; exact McNemar test: p = {counts.p_value:.3g}"
    )


def _metric_row(one: Difference) -> tuple[str, ...]:
    values = (f"{one.a:.4f}", f"{one.b:.4f}", f"{one.value:+.4f}")
    p = f"{one.p_value:.3f}" if one.p_value >= 0.001 else "<0.001"
    return (metric_title(one.name), *values, f"{one.low:+.4f} to {one.high:+.4f}", p)


def _label_row(one: LabelChange) -> tuple[str, ...]:
    recall = (f"{one.recall_a:.3f}", f"{one.recall_b:.3f}")
    f1 = (f"{one.f1_a:.3f}", f"{one.f1_b:.3f}", f"{one.f1_b - one.f1_a:+.3f}")
    return (f"{one.support:,}", *recall, *f1, shorten(one.label, WIDEST_LABEL))


def _describe_change(one: Change) -> Iterator[str]:
    yield (
        f"  row {one.row:,}, {one.kind}, {one.quality_a:.3f} to {one.quality_b:.3f}:"
        f" {shorten(one.text, WIDEST_TEXT)}"
    )
    answers = (shorten(answer, WIDEST_LABEL) or "nothing" for answer in (one.gold, one.a, one.b))
    yield "    gold {}; A {}; B {}".format(*answers)


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    return (f"  {line}" for line in align_columns(rows))
