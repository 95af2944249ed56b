"""One self-contained HTML page about a run: nothing is fetched, nothing can be injected."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from markupsafe import Markup

from tfpipe.report.curves import (
    MOST_POINTS,
    abstention_figure,
    curves_figure,
    reliability_figure,
    scatter_figure,
)
from tfpipe.report.images import svg
from tfpipe.report.matrix import draw_matrix
from tfpipe.report.names import JOINERS
from tfpipe.report.sections import (
    Abstention,
    Baseline,
    Calibration,
    ClassRow,
    Confusion,
    Data,
    Figures,
    Mistakes,
    Scatter,
    Slices,
    Suspects,
)
from tfpipe.report.summary import Summary, format_figure, summarise
from tfpipe.report.templates import format_number, make_environment, write_html
from tfpipe.report.wording import Wording
from tfpipe.training.ending import Ending

# Texts of this length in every table, each character escaped, still leave the page under 2 MB.
MOST_CHARACTERS = 2_000
# From so many labels on, what is long is folded until it is asked for.
FOLDED_LABELS = 20


@dataclass(frozen=True)
class Report:
    """What the page tells about a run; a section is shown when its content is there.

    title: the run's name; task: as on the command line; language: `en` or `zh`; made: when, as
    text; dev, test: figures; history: one mapping an epoch, as `curves_figure` takes it; best_by:
    the dev figure that the kept epoch was chosen by; ending: after which epoch training ended;
    label_count: labels, or entity types; cost: facts of speed and size by name; command: the shell
    line that makes the run again; settings: the run's config.yaml; hashes: SHA-256 by part;
    next_commands: shell lines.
    """

    title: str
    task: str
    dev: Figures
    language: str = "en"
    made: str = ""
    test: Figures | None = None
    label_count: int = 0
    baseline: Baseline | None = None
    data: Data | None = None
    history: Sequence[Mapping[str, Any]] = ()
    best_by: str | None = None
    ending: Ending | None = None
    classes: Sequence[ClassRow] = ()
    confusion: Confusion | None = None
    calibration: Calibration | None = None
    abstention: Abstention | None = None
    scatter: Scatter | None = None
    slices: Sequence[Slices] = ()
    mistakes: Mistakes | None = None
    suspects: Suspects | None = None
    cost: Mapping[str, float] = field(default_factory=dict)
    command: str = ""
    settings: str = ""
    hashes: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, object] = field(default_factory=dict)
    next_commands: Sequence[str] = ()


def write_page(path: str | Path, report: Report) -> None:
    """Write the report as one HTML file, aside first and then renamed; raises OSError."""
    write_html(path, render_page(report))


def render_page(report: Report) -> str:
    """The page's HTML."""
    wording = Wording(report.language)
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
        figure=format_figure,
        folded=report.label_count > FOLDED_LABELS,
        curves=_picture(curves_figure(history, wording)) if history else None,
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
        replicates=max((one.replicates for one in report.dev.intervals.values()), default=0),
    )


def _picture(figure: Any) -> Markup:
    return Markup(svg(figure))


def breakable(name: str) -> Markup:
    """A name that may go on in a new line after a sign or 24 characters, not just anywhere."""
    pieces = re.findall(
        rf"[^\s_/|]{{1,24}}(?<![{JOINERS}])(?![{JOINERS}])(?:[\s_/|]+|$)?|[\s_/|]+|.", name
    )
    return Markup("<wbr>").join(pieces)


def cut(text: str, wording: Wording) -> str:
    """The whole text, or its beginning and its length when it would make the page too large."""
    if len(text) <= MOST_CHARACTERS:
        return text
    return wording("cut_text", text=text[:MOST_CHARACTERS], characters=len(text))


def format_cost(value: float, name: str, wording: Wording) -> str:
    """A fact of speed or size with its unit."""
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
