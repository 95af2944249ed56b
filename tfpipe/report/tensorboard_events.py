"""TensorBoard events of a run: curves, images of the task, the worst mistakes."""

from __future__ import annotations

import gc
import logging
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import tensorflow as tf
from tensorboard.plugins import projector
from tensorboard.plugins.scalar.summary_v2 import scalar_pb

from tfpipe.io.atomic import write_text
from tfpipe.report.confusion_png import NUMBERS_TAG, picture_names
from tfpipe.report.fonts import FONT_ADVICE, characters_within
from tfpipe.report.images import pixels
from tfpipe.report.pictures import draw_pictures
from tfpipe.report.templates import format_number
from tfpipe.tasks.evaluation import TaskEvaluation
from tfpipe.tasks.sections import MistakeRow, Projection
from tfpipe.text_display import shorten
from tfpipe.training.callbacks import StepMetrics

logger = logging.getLogger(__name__)
# Special characters of Markdown and HTML, escaped.
ESCAPED = {ord(character): f"&#{ord(character)};" for character in r"\`*_{}[]<>()#+!|&~$"}


class TensorBoardCallback:
    """Training callback that writes TensorBoard events; no file is created before the first value.

    Tags: `train/<name>` for each step; `dev/<metric>`, the images `dev/<picture>` of the task and
    the text `dev/mistakes` for each epoch, and the text `dev/label_numbers` where no installed font
    can draw all labels. Of a task with vectors, the projector shows those of the last epoch.

    Args:
        folder: Folder of the event files.
    """

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        self._opened: tf.summary.SummaryWriter | None = None
        self._advised = False

    def __enter__(self) -> TensorBoardCallback:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def on_step(self, step: StepMetrics) -> None:
        """Write the curves of a training step."""
        self._write_scalars("train", step.step, step.metrics)

    def on_epoch(self, record: Mapping[str, Any], evaluation: TaskEvaluation) -> None:
        """Write the metrics on dev, the task's images and the worst mistakes.

        Args:
            record: `step`, the number of training steps so far, is the common axis of all curves.
            evaluation: Evaluation on dev.
        """
        step = record["step"]
        # The number of examples is constant.
        metrics = {k: value for k, value in evaluation.metrics.items() if k != "examples"}
        self._write_scalars("dev", step, metrics)
        with _collected(), self._writer().as_default(step=np.asarray(step, np.int64)):
            for picture in draw_pictures(evaluation):
                image = pixels(picture.figure)
                tf.summary.image(f"dev/{picture.name}", image[None], description=picture.legend)
                self._write_numbers(numbered_names(picture.names))
            tf.summary.text(
                "dev/mistakes",
                mistakes_table(evaluation.mistakes_section().rows),
                description="The worst answers, the worst first.",
            )
        projection = evaluation.projection()
        if projection is not None:
            write_projection(projection, self.folder)
        self._writer().flush()

    def _write_numbers(self, names: Mapping[str, str]) -> None:
        """Write the names that the pictures show as numbers, and once how to have them drawn."""
        if not names:
            return
        if not self._advised:
            logger.info(
                "TensorBoard: no installed font has the characters of %d label names, which its"
                " pictures show as numbers; %s",
                *(len(names), FONT_ADVICE),
            )
        self._advised = True
        rows = [f"| {_cell(mark, 60)} | {_cell(name, 60)} |" for mark, name in names.items()]
        tf.summary.text(NUMBERS_TAG, "\n".join(["| number | label |", "|---|---|", *rows]))

    def close(self) -> None:
        """Write what is still in memory and close the event file."""
        if self._opened:
            self._opened.close()
            self._opened = None

    def _writer(self) -> tf.summary.SummaryWriter:
        if self._opened is None:
            self._opened = tf.summary.create_file_writer(str(self.folder))
        return self._opened

    def _write_scalars(self, group: str, step: int, values: Mapping[str, float]) -> None:
        # One record for all curves: an operation for each takes milliseconds of every step. And
        # arrays, because TensorFlow caches a tensor for every Python number.
        record = tf.compat.v1.Summary()
        for name, value in values.items():
            record.MergeFromString(scalar_pb(f"{group}/{name}", value).SerializeToString())
        with self._writer().as_default():
            tf.summary.experimental.write_raw_pb(
                record.SerializeToString(), np.asarray(step, np.int64)
            )


def write_projection(projection: Projection, folder: Path) -> None:
    """Write vectors for TensorBoard's projector; raises OSError."""
    config = projector.ProjectorConfig()
    shown = config.embeddings.add(
        tensor_name="dev", tensor_path="vectors.tsv", metadata_path="vectors-metadata.tsv"
    )
    values = (("\t".join(f"{x:.6g}" for x in vector)) for vector in projection.vectors.tolist())
    write_text(folder / shown.tensor_path, "\n".join([*values, ""]))
    rows = [projection.columns, *projection.rows]
    cells = ("\t".join(" ".join(cell.split()) or "-" for cell in row) for row in rows)
    write_text(folder / shown.metadata_path, "\n".join([*cells, ""]))
    projector.visualize_embeddings(str(folder), config)


@contextmanager
def _collected() -> Iterator[None]:
    """Free the figures of a block at its end.

    Their parts refer to each other: without this, many would stay in memory until the next garbage
    collection. All older objects are kept out of it, as there are hundreds of thousands.
    """
    gc.freeze()
    try:
        yield
    finally:
        gc.collect()
        gc.unfreeze()


def mistakes_table(mistakes: Sequence[MistakeRow]) -> str:
    """Return the mistakes as a Markdown table; a text is one escaped cell of 300 characters."""
    if not mistakes:
        return "No mistakes."
    rows = [
        f"| {format_number(row.score)} | {_cell(row.gold, 60)} | {_cell(row.predicted, 60)} "
        f"| {_cell(_shown_text(row), 300)} |"
        for row in mistakes
    ]
    return "\n".join(["| score | gold | predicted | text |", "|---|---|---|---|", *rows])


def _shown_text(row: MistakeRow) -> str:
    if not row.pieces:
        return row.text
    found = "".join(piece.text for piece in row.pieces)
    return f"{row.question} | {found}" if row.question else found


def _cell(text: str, most: int) -> str:
    line = shorten(text, most)
    # TensorBoard breaks words anywhere and lets one long cell narrow the others to a letter; lines
    # of limited width leave space for all columns.
    lines = textwrap.wrap(line, characters_within(line, ems=38)) or [""]
    return "<br>".join(part.translate(ESCAPED) for part in lines)


def numbered_names(label_names: Sequence[str]) -> dict[str, str]:
    """Return the names that an image shows as numbers, because no font can draw them, by these."""
    shown = enumerate(zip(picture_names(label_names), label_names, strict=True))
    return {mark: name for column, (mark, name) in shown if mark == f"#{column}" != name}
