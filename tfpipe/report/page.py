"""One self-contained HTML page about a run: nothing is fetched, nothing can be injected."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from tfpipe.report.images import svg
from tfpipe.report.names import shorten
from tfpipe.report.plots import confusion_figure, curves_figure, worst_pairs
from tfpipe.report.templates import format_number, make_environment, write_html
from tfpipe.tasks.evaluation import Evaluation

# Twenty texts of this length, each character escaped, still leave the page under 2 MB.
MOST_CHARACTERS = 12_000

MEANINGS = {
    "accuracy": "Share of the texts whose predicted label is their gold label.",
    "macro_f1": "Mean F1 of the labels, rare ones counting as much as frequent ones.",
    "weighted_f1": "Mean F1 of the labels, each counting as often as it occurs.",
    "loss": "Mean cross-entropy in nats; 0 would be certain and always right.",
    "examples": "Labelled texts that these figures rest on.",
}


@dataclass(frozen=True)
class Report:
    """What the page tells about a run.

    title: the run's name; task: as on the command line; command: the arguments that made the run;
    data: (name, value) facts in reading order; label_counts: (label, train rows, dev rows);
    warnings: sentences about the data; figures: of dev, as in metrics.json; history: one mapping
    an epoch, as `curves_figure` takes it; training: (name, value) facts about speed and size;
    best_by: the dev figure that the kept epoch was chosen by; next_commands: shell lines.
    """

    title: str
    task: str
    command: Sequence[str]
    data: Sequence[tuple[str, object]]
    label_counts: Sequence[tuple[str, int, int]]
    figures: Mapping[str, float]
    dev: Evaluation
    environment: Mapping[str, object]
    next_commands: Sequence[str]
    test: Evaluation | None = None
    history: Sequence[Mapping[str, Any]] = ()
    best_by: str | None = None
    warnings: Sequence[str] = ()
    training: Mapping[str, object] = field(default_factory=dict)


def write_page(path: str | Path, report: Report) -> None:
    """Write the report as one HTML file, aside first and then renamed."""
    write_html(path, render_page(report))


def render_page(report: Report) -> str:
    """The page's HTML."""
    environment = make_environment("tfpipe.report", {"cut": cut})
    gold = np.bincount(report.dev.gold, minlength=len(report.dev.label_names))
    return environment.get_template("page.html").render(
        report=report,
        command=shlex.join(report.command),
        meanings=MEANINGS,
        label_counts=sorted(report.label_counts, key=lambda row: -row[1]),
        majority=(report.dev.label_names[int(gold.argmax())], gold.max() / max(gold.sum(), 1)),
        classes=_class_rows(report),
        pairs=_pair_rows(report.dev, 20),
        mistakes=report.dev.mistakes(20),
        mistake_count=int((report.dev.gold != report.dev.predicted).sum()),
        curves=Markup(svg(curves_figure(report.history))) if report.history else None,
        matrix=Markup(svg(confusion_figure(report.dev, browser=True))),
    )


def _class_rows(report: Report) -> list[dict[str, Any]]:
    """Labels from the worst F1 to the best, those without any text last."""
    test = report.test.per_class if report.test else []
    test_f1 = {row["label"]: row["f1"] for row in test if row["support"]}
    # Pairs come worst first, so that the first one of a gold label is its worst.
    taken_for: dict[int, str] = {}
    for pair in worst_pairs(report.dev, most=len(report.dev.gold)):
        name = report.dev.label_names[pair.predicted]
        taken_for.setdefault(pair.gold, f"{shorten(name, 60)} ({format_number(pair.count)})")
    rows: list[dict[str, Any]] = [
        {**row, "test_f1": test_f1.get(row["label"]), "taken_for": taken_for.get(column, "")}
        for column, row in enumerate(report.dev.per_class)
    ]
    return sorted(rows, key=lambda row: (row["support"] == 0, row["f1"], -row["support"]))


def _pair_rows(evaluation: Evaluation, most: int) -> list[dict[str, Any]]:
    """The worst pairs with names and the text that was mixed up with the highest score."""
    rows = []
    for pair in worst_pairs(evaluation, most):
        both = (evaluation.gold == pair.gold) & (evaluation.predicted == pair.predicted)
        surest = int(np.argmax(np.where(both, evaluation.score, -1)))
        rows.append(
            {
                "gold": evaluation.label_names[pair.gold],
                "predicted": evaluation.label_names[pair.predicted],
                "count": pair.count,
                "share": pair.count / pair.support,
                "example": evaluation.texts[surest],
            }
        )
    return rows


def cut(text: str) -> str:
    """The whole text, or its beginning and its length when it would make the page too large."""
    if len(text) <= MOST_CHARACTERS:
        return text
    return f"{text[:MOST_CHARACTERS]} … ({len(text):,} characters in all)"
