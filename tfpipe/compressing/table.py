"""The figures before and after a compression as lines for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from tfpipe.report.sections import Compression, ModelFigures
from tfpipe.text_display import align_columns


def render_table(found: Compression) -> Iterator[str]:
    """Yield the lines: a row for each figure, and how far the answers agree."""
    before, after = _figures(found.before), _figures(found.after)
    rows = [(name, before[name], after.get(name, "-")) for name in before]
    yield from align_columns([("", "before", "after"), *rows])
    yield (
        f"{found.same:.1%} of the answers to {found.texts:,} dev examples are the same;"
        f" p = {found.p_value:.2g} in the exact test"
    )
    if found.lost is not None:
        yield f"{found.lost:.2%} of the dev tokens are not in the trimmed vocabulary"


def _figures(model: ModelFigures) -> dict[str, str]:
    found = {
        "MB": f"{model.megabytes:,.1f}",
        "parameters": f"{model.parameters:,}",
        "tokens of the vocabulary": f"{model.vocabulary:,}",
        "layers": str(model.layers),
        "attention heads": str(model.heads),
        "units of feed-forward": f"{model.ffn:,}",
    }
    for one in model.latencies:
        found[f"ms at batch {one.batch}: p50, p95"] = f"{one.p50:.1f}, {one.p95:.1f}"
    for name, value in model.dev.values.items():
        if name != "examples":
            interval = model.dev.intervals.get(name)
            limits = f" ({interval.low:.4f} to {interval.high:.4f})" if interval else ""
            found[f"dev {name}"] = f"{value:.4f}{limits}"
    return found
