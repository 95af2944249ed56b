"""The result of a probe as lines for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from tfpipe.report.sections import Attack, Expectations, Robustness
from tfpipe.text_display import shorten

WIDTH = 100


def render_table(found: Robustness, show: int) -> Iterator[str]:
    """Yield the lines; show: how many texts of attack and expectations."""
    yield f"changes of {found.source}, {found.share:.0%} of the places of a text"
    if found.changes:
        yield f"{'change':14}{'texts':>7}{'before':>9}{'after':>9}{'answers kept':>14}"
    for row in found.changes:
        before, after, kept = map(_figure, (row.before, row.after, row.kept))
        yield f"{row.name:14}{row.texts:7,}{before:>9}{after:>9}{kept:>14}"
    if found.changes:
        yield f"before and after: {found.figure}"
    if found.attack:
        yield from _attack_lines(found.attack, show)
    if found.expectations:
        yield from _expectation_lines(found.expectations, show)


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _attack_lines(found: Attack, show: int) -> Iterator[str]:
    yield ""
    yield (
        f"attack, up to {found.edits} misspelt words in {found.texts:,} texts: accuracy"
        f" {found.before:.4f}, under attack {found.after:.4f}"
    )
    for row in found.examples[:show]:
        yield f"  {row.gold} -> {row.answer}: {shorten(row.changed, WIDTH)}"


def _expectation_lines(found: Expectations, show: int) -> Iterator[str]:
    yield ""
    met = found.count - len(found.failures)
    yield f"expectations of {found.source}: {met:,} of {found.count:,} met"
    for row in found.failures[:show]:
        yield f"  expected {row.expect}: {shorten(row.text, WIDTH)} -> {row.answer}"
        yield f"    {shorten(row.changed, WIDTH)} -> {row.changed_answer}"
