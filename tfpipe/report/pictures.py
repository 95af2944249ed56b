"""Images of an evaluation for TensorBoard, as the report page shows them too."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from tfpipe.report.bars import Bar, bars_figure
from tfpipe.report.confusion_png import confusion_figure
from tfpipe.report.curves import reliability_figure, scatter_figure
from tfpipe.report.i18n import Wording
from tfpipe.report.slices import slices_by_length
from tfpipe.tasks.evaluation import TaskEvaluation

ENGLISH = Wording("en")


class Picture(NamedTuple):
    """An image.

    Attributes:
        name: Its tag.
        figure: The drawing.
        legend: A sentence on how to read it.
        names: Label names of the user in it.
    """

    name: str
    figure: Figure
    legend: str
    names: Sequence[str] = ()


def draw_pictures(evaluation: TaskEvaluation) -> Iterator[Picture]:
    """Yield the images of an evaluation, without bootstrap: cheap enough for each epoch."""
    if confusion := evaluation.confusion_section():
        legend = "Rows are gold labels, columns predicted ones; colours are shares of the row."
        figure = confusion_figure(confusion.counts, confusion.label_names)
        yield Picture("confusion_matrix", figure, legend, confusion.label_names)
    elif rows := evaluation.class_rows(with_intervals=False):
        what = evaluation.class_noun
        bars = [Bar(row.label, row.f1, f"{row.support:,}") for row in rows]
        legend = f"The worst {what} first; beside the bars how many of it there are in dev."
        names = [row.label for row in rows]
        yield Picture(f"{what}_f1", bars_figure(bars, f"F1 by {what}"), legend, names)
    if evaluation.by_characters:
        yield from _by_length(evaluation)
    if scatter := evaluation.scatter():
        yield Picture("scatter", scatter_figure(scatter, ENGLISH), ENGLISH("scatter.note"))
    calibration = evaluation.calibration()
    if calibration is not None and calibration.answers.counts.sum():
        figure = reliability_figure(calibration, ENGLISH)
        yield Picture("reliability", figure, ENGLISH("calibration.note"))


def _by_length(evaluation: TaskEvaluation) -> Iterator[Picture]:
    metric = evaluation.example_metric()
    if metric is None:
        return
    # The evaluation has no token counts.
    lengths = np.array([len(text) for text in evaluation.texts])
    slices = slices_by_length(metric.values, lengths, metric.name, kind="characters")
    if slices is not None:
        bars = [Bar(row.name, row.value, f"{row.count:,}") for row in slices.rows]
        legend = "Characters of question and context; beside the bars how many questions."
        name = ENGLISH.term("figure", metric.name)
        figure = bars_figure(bars, f"{name} by length in characters")
        yield Picture(f"length_{metric.name}", figure, legend)
