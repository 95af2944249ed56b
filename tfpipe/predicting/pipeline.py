"""Prediction pipeline: windows are read ahead, batched by length, answered, written in order.

Reading, several batches on the model, and writing run at the same time, each in its own threads.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import numpy as np

from tfpipe.data.streaming import Window
from tfpipe.errors import UserError
from tfpipe.predicting.predictor import Predictor
from tfpipe.predicting.progress import Progress
from tfpipe.predicting.resumable_output import ResumableOutput
from tfpipe.predicting.writers import AnswerWriter
from tfpipe.tasks.output_schema import Answers

# Tokens of a batch with padding. Batches of long texts are smaller, for the memory of attention
# grows with the square of the length.
MAX_TOKENS = 16_384
# Special tokens of a row at most.
SPECIALS = 4


@dataclass(frozen=True)
class PendingWindow:
    """A window whose batches are submitted to the model."""

    window: Window
    batches: list[np.ndarray]
    answers: list[Future[Answers]]


def answer_windows(
    windows: Iterable[Window],
    predictor: Predictor,
    batch_size: int,
    writer: AnswerWriter,
    output: ResumableOutput,
    progress: Progress,
) -> None:
    """Answer all windows and append them to `output` in their order.

    The windows before one that cannot be read are written before its UserError is raised. On any
    other exception pending batches are cancelled; a write that has begun is finished.

    Args:
        windows: Windows of the data file.
        predictor: The model.
        batch_size: Rows of a batch at most.
        writer: The format of the answers.
        output: The file.
        progress: Receives the number of answered rows.

    Raises:
        UserError: A window cannot be read, the model cannot answer, or the disk is full.
    """
    with ExitStack() as stack:
        model_threads = stack.enter_context(_threads(predictor.parallel))
        reader = stack.enter_context(_threads(1))
        queue = _WriteQueue(stack.enter_context(_threads(1)), writer, output, progress)
        failure: UserError | None = None
        try:
            for window in _read_ahead(windows, reader):
                progress.estimate(window.end, window.share_read)
                batches = cut_batches(window, batch_size, predictor.longest_row)
                answers = [
                    model_threads.submit(predictor.answer, *take(window, rows)) for rows in batches
                ]
                # The next window is submitted before the last batch of this one is answered.
                queue.add(PendingWindow(window, batches, answers), most_pending=1)
        except _ReadError as error:
            failure = error.cause
        queue.flush()
        if failure:
            raise failure


class _ReadError(Exception):
    """A window could not be read; other UserErrors come from the model or the output file."""

    def __init__(self, cause: UserError):
        super().__init__(str(cause))
        self.cause = cause


class _WriteQueue:
    """Windows that wait for their answers, written in their order by one thread."""

    def __init__(
        self,
        thread: ThreadPoolExecutor,
        writer: AnswerWriter,
        output: ResumableOutput,
        progress: Progress,
    ):
        self._thread, self._writer, self._output = thread, writer, output
        self._progress = progress
        self._pending: deque[PendingWindow] = deque()
        self._written: Future[None] | None = None

    def add(self, window: PendingWindow, most_pending: int) -> None:
        """Add a window, and wait for earlier ones until at most `most_pending` are left."""
        self._pending.append(window)
        while len(self._pending) > most_pending:
            self._submit(self._pending.popleft())

    def flush(self) -> None:
        """Wait until all windows are written."""
        while self._pending:
            self._submit(self._pending.popleft())
        if self._written:
            self._written.result()

    def _submit(self, pending: PendingWindow) -> None:
        answers = []
        for rows, answer in zip(pending.batches, pending.answers, strict=True):
            answers.append(answer.result())
            self._progress.advance(len(rows))
        if self._written:
            self._written.result()
        self._written = self._thread.submit(self._write, pending, answers)

    def _write(self, pending: PendingWindow, answers: list[Answers]) -> None:
        window = pending.window
        content = self._writer.rows(window, in_order(pending.batches, answers))
        self._output.append(content, window.end, window.rows_sha256)


def _read_ahead(windows: Iterable[Window], reader: ThreadPoolExecutor) -> Iterator[Window]:
    """Yield the windows while the next one is read; raises _ReadError."""
    rest = iter(windows)
    coming = reader.submit(next, rest, None)
    while True:
        try:
            window = coming.result()
        except UserError as error:
            raise _ReadError(error) from None
        if window is None:
            return
        coming = reader.submit(next, rest, None)
        yield window


@contextmanager
def _threads(count: int) -> Iterator[ThreadPoolExecutor]:
    """Yield threads; when the block ends they finish their current call and no other."""
    pool = ThreadPoolExecutor(count)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def cut_batches(window: Window, most: int, longest_row: int | None) -> list[np.ndarray]:
    """Cut a window into batches of rows of like length.

    The longest texts come first, so that memory runs out at once or never. Length is counted in
    bytes, which needs no tokenizer: nearly all tokens have one or more.

    Args:
        window: N rows.
        most: Rows of a batch.
        longest_row: Tokens that the model reads of a row at most; None where it reads all of it.

    Returns:
        The row numbers int [n] of each batch.
    """
    lengths = np.array([len(text.encode()) for text in window.texts])
    if window.text_pairs is not None:
        lengths += [len(text.encode()) for text in window.text_pairs]
    order = np.argsort(-lengths, kind="stable")
    batches, start = [], 0
    while start < len(order):
        tokens = int(lengths[order[start]]) + SPECIALS
        tokens = tokens if longest_row is None else min(longest_row, tokens)
        end = start + max(1, min(most, MAX_TOKENS // tokens))
        batches.append(order[start:end])
        start = end
    return batches


def take(window: Window, rows: np.ndarray) -> tuple[list[str], list[str] | None]:
    """Return the texts of rows int [n] of a window, and their pairs."""
    chosen = rows.tolist()
    pairs = window.text_pairs
    texts = [window.texts[row] for row in chosen]
    return texts, None if pairs is None else [pairs[row] for row in chosen]


def in_order(batches: Sequence[np.ndarray], answers: Sequence[Answers]) -> Answers:
    """Join the answers to all batches of a window in the order of its rows."""
    back = np.argsort(np.concatenate(batches))
    return {name: np.concatenate([one[name] for one in answers])[back] for name in answers[0]}
