"""Report page of a run: one self-contained HTML file that fetches nothing and escapes data."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from markupsafe import Markup

from tfpipe.data.unknown_tokens import WARNED
from tfpipe.report.confusion_svg import draw_matrix
from tfpipe.report.curves import (
    MOST_POINTS,
    abstention_figure,
    curves_figures,
    reliability_figure,
    scatter_figure,
)
from tfpipe.report.i18n import Wording
from tfpipe.report.images import svg
from tfpipe.report.run_report import Report
from tfpipe.report.summary import Summary, format_metric, summarise
from tfpipe.report.templates import format_number, make_environment, write_html
from tfpipe.text_display import JOINERS, shorten

# Texts of this length in every table, each character escaped, still leave the page under 2 MB.
MOST_CHARACTERS = 2_000
# With more labels, long sections are collapsed.
FOLDED_LABELS = 20


def write_page(path: str | Path, report: Report) -> None:
    """Write the report as one HTML file, atomically; raises OSError."""
    write_html(path, render_page(report))


def render_page(report: Report) -> str:
    """Render the page's HTML."""
    wording = Wording(report.language, wording_name(report.other))
    environment = make_environment(
        "tfpipe.report",
        {
            "breakable": breakable,
            "cut": lambda text: cut(text, wording),
            "cost": lambda value, name: format_cost(value, name, wording),
        },
    )
    summary: Summary = summarise(report, wording)
    history, calibration = report.history, report.calibration
    answered = calibration is not None and bool(calibration.answers.counts.sum())
    return environment.get_template("page.html").render(
        report=report,
        t=wording,
        summary=summary,
        figure=format_metric,
        folded=report.label_count > FOLDED_LABELS,
        curves=[_picture(figure) for figure in curves_figures(history, wording)] if history else [],
        matrix=draw_matrix(report.confusion, wording) if report.confusion else None,
        calibration_picture=_picture(reliability_figure(calibration, wording))
        if calibration and answered
        else None,
        abstention_picture=_picture(abstention_figure(report.abstention, wording))
        if report.abstention
        else None,
        scatter_picture=_picture(scatter_figure(report.scatter, wording))
        if report.scatter and len(report.scatter.gold)
        else None,
        most_points=MOST_POINTS,
        warned=WARNED,
        replicates=max((one.replicates for one in report.dev.intervals.values()), default=0),
    )


def wording_name(name: str) -> str:
    """Return the name of a file for sentences: one line, not long."""
    return shorten(name, 60)


def _picture(figure: Any) -> Markup:
    return Markup(svg(figure))


def breakable(name: str) -> Markup:
    """Return a name with line break opportunities after a separator or 24 characters only."""
    pieces = re.findall(
        rf"[^\s_/|]{{1,24}}(?<![{JOINERS}])(?![{JOINERS}])(?:[\s_/|]+|$)?|[\s_/|]+|.", name
    )
    return Markup("<wbr>").join(pieces)


def cut(text: str, wording: Wording) -> str:
    """Return the text; its beginning and length where it would make the page too large."""
    if len(text) <= MOST_CHARACTERS:
        return text
    return wording("cut_text", text=text[:MOST_CHARACTERS], characters=len(text))


def format_cost(value: float, name: str, wording: Wording) -> str:
    """Return a value of speed or size with its unit."""
    if name == "model_bytes":
        return wording("value.megabytes", megabytes=f"{value / 1e6:,.1f}")
    if name == "padding_share":
        return f"{value:.1%}"
    if name == "seconds":
        hours, minutes = int(value // 3600), int(value % 3600 // 60)
        if hours:
            return wording("value.hours", hours=hours, minutes=minutes)
        if minutes:
            return wording("value.minutes", minutes=minutes, seconds=int(value % 60))
        return wording("value.seconds", seconds=f"{value:.1f}")
    return format_number(value)
