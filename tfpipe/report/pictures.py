"""The pictures that say most about each task's answers, as the page shows them too."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from tfpipe.report.bars import Bar, bars_figure
from tfpipe.report.curves import reliability_figure, scatter_figure
from tfpipe.report.describe import describe_classes
from tfpipe.report.plots import confusion_figure
from tfpipe.report.scores_section import describe_calibration
from tfpipe.report.sections import Scatter
from tfpipe.report.slices import slices_by_length
from tfpipe.report.wording import Wording
from tfpipe.tasks.answering.evaluation import QAEvaluation
from tfpipe.tasks.evaluation import Evaluation
from tfpipe.tasks.multilabel_evaluation import MultilabelEvaluation
from tfpipe.tasks.regress_evaluation import RegressEvaluation
from tfpipe.tasks.tagging.evaluation import TagEvaluation
from tfpipe.tasks.task import TaskEvaluation

ENGLISH = Wording("en")


class Picture(NamedTuple):
    """A figure, its name, a sentence on how to read it, and the users' names in it."""

    name: str
    figure: Figure
    legend: str
    names: Sequence[str] = ()


def draw_pictures(evaluation: TaskEvaluation) -> Iterator[Picture]:
    """At most two pictures of what a model said, without bootstrap: cheap enough for each epoch."""
    if isinstance(evaluation, Evaluation):
        legend = "Rows are gold labels, columns predicted ones; colours are shares of the row."
        yield Picture(
            "confusion_matrix", confusion_figure(evaluation), legend, evaluation.label_names
        )
    if isinstance(evaluation, (MultilabelEvaluation, TagEvaluation)):
        rows = describe_classes(evaluation, None, with_intervals=False)
        bars = [Bar(row.label, row.f1, f"{row.support:,}") for row in rows]
        what = "label" if isinstance(evaluation, MultilabelEvaluation) else "type"
        legend = f"The worst {what} first; beside the bars how many of it there are in dev."
        names = [row.label for row in rows]
        yield Picture(f"{what}_f1", bars_figure(bars, f"F1 by {what}"), legend, names)
    if isinstance(evaluation, QAEvaluation):
        yield from _by_length(evaluation)
    if isinstance(evaluation, RegressEvaluation):
        figure = scatter_figure(Scatter(evaluation.gold, evaluation.value), ENGLISH)
        yield Picture("scatter", figure, ENGLISH("scatter.note"))
    calibration = describe_calibration(evaluation)
    if calibration is not None and calibration.answers.counts.sum():
        figure = reliability_figure(calibration, ENGLISH)
        yield Picture("reliability", figure, ENGLISH("calibration.note"))


def _by_length(evaluation: QAEvaluation) -> Iterator[Picture]:
    # The evaluation does not know how many tokens its texts have.
    lengths = np.array([len(text) for text in evaluation.texts])
    slices = slices_by_length(evaluation.f1, lengths, "f1", kind="characters")
    if slices is not None:
        bars = [Bar(row.name, row.value, f"{row.count:,}") for row in slices.rows]
        legend = "Characters of question and context; beside the bars how many questions."
        yield Picture("length_f1", bars_figure(bars, "F1 by length in characters"), legend)
