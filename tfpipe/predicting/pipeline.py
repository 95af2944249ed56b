"""From windows of texts to kept answers: read ahead, several batches at once, written behind."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import numpy as np

from tfpipe.data.streaming import Window
from tfpipe.errors import UserError
from tfpipe.predicting.batches import cut_batches, in_order, take
from tfpipe.predicting.predictor import Predictor
from tfpipe.predicting.progress import Progress
from tfpipe.predicting.resumable_output import ResumableOutput
from tfpipe.predicting.writers import AnswerWriter
from tfpipe.tasks.output_schema import Answers


@dataclass(frozen=True)
class PendingWindow:
    """A window whose batches are with the model."""

    window: Window
    batches: list[np.ndarray]
    answers: list[Future[Answers]]


def answer_windows(
    windows: Iterable[Window],
    answerer: Predictor,
    batch_size: int,
    table: AnswerWriter,
    part: ResumableOutput,
    progress: Progress,
) -> None:
    """Answer all windows and keep them in `part`, in their order.

    The windows before one that cannot be read are kept before its UserError is raised. On any
    other exception what is with the model is given up; what is being written is written.
    """
    with ExitStack() as stack:
        models = stack.enter_context(_threads(answerer.parallel))
        writer = stack.enter_context(_threads(1))
        ahead = stack.enter_context(_threads(1))
        asked: deque[PendingWindow] = deque()
        written: Future[None] | None = None

        def keep(one: PendingWindow) -> Future[None]:
            answers = []
            for rows, answer in zip(one.batches, one.answers, strict=True):
                answers.append(answer.result())
                progress.advance(len(rows))
            if written:
                written.result()
            return writer.submit(_write, table, part, one, answers)

        failure: UserError | None = None
        coming = _read_ahead(windows, ahead)
        while True:
            try:
                window = next(coming)
            except StopIteration:
                break
            except UserError as error:
                failure = error
                break
            progress.estimate(window.end, window.share_read)
            batches = cut_batches(window, batch_size, answerer.longest_row)
            answers = [models.submit(answerer.answer, *take(window, rows)) for rows in batches]
            asked.append(PendingWindow(window, batches, answers))
            # The next window is with the model before the last batch of this one is done.
            if len(asked) == 2:
                written = keep(asked.popleft())
        while asked:
            written = keep(asked.popleft())
        if written:
            written.result()
        if failure:
            raise failure


def _read_ahead(windows: Iterable[Window], reader: ThreadPoolExecutor) -> Iterator[Window]:
    """The windows, of which one more is read than was asked for."""
    rest = iter(windows)
    coming = reader.submit(next, rest, None)
    while (window := coming.result()) is not None:
        coming = reader.submit(next, rest, None)
        yield window


def _write(
    table: AnswerWriter, part: ResumableOutput, one: PendingWindow, answers: list[Answers]
) -> None:
    content = table.rows(one.window, in_order(one.batches, answers))
    part.append(content, one.window.end, one.window.rows_sha256)


@contextmanager
def _threads(count: int) -> Iterator[ThreadPoolExecutor]:
    """Threads that finish what they are at, and nothing more, when the block ends."""
    pool = ThreadPoolExecutor(count)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
