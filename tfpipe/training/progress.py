"""Callbacks that measure the throughput of training and print its progress to standard error."""

from __future__ import annotations

import logging
import sys
import time
from typing import Any, TextIO

from tfpipe.tasks.task import TaskEvaluation
from tfpipe.text_display import format_duration
from tfpipe.training.callbacks import StepMetrics

logger = logging.getLogger(__name__)
PLAIN_LINES = 20  # progress lines of a run whose output is not a terminal
REFRESH = 0.2  # seconds between two updates of the line on a terminal


class Throughput:
    """Sums over steps; rates do not count padding, nor the compiling first step.

    Attributes:
        steps: Steps taken.
        examples: Examples in them.
        tokens: Tokens in them, without padding.
        places: Tokens in them, with padding.
        seconds: Seconds of all steps but the first.
        waited: Seconds of these that were spent waiting for data.
        earlier_seconds: Seconds of earlier starts of the run, which `--resume` continues.
    """

    def __init__(self) -> None:
        self.examples = self.tokens = self.places = self.steps = 0
        self.seconds = self.waited = self.earlier_seconds = 0.0
        self._timed_examples = self._timed_tokens = 0

    def on_step(self, step: StepMetrics) -> None:
        """Add a step to the sums."""
        self.steps += 1
        self.examples += step.examples
        self.tokens += step.tokens
        self.places += step.places
        if self.steps > 1:
            self.seconds += step.seconds
            self.waited += step.waited
            self._timed_examples += step.examples
            self._timed_tokens += step.tokens

    def on_epoch(self, record: dict[str, Any], evaluation: TaskEvaluation) -> None:
        """Do nothing: only steps are counted."""

    def rates(self) -> dict[str, float]:
        """Compute examples_per_second, tokens_per_second, padding_share and data_wait_share."""
        seconds = self.seconds or float("inf")
        return {
            "examples_per_second": self._timed_examples / seconds,
            "tokens_per_second": self._timed_tokens / seconds,
            "padding_share": 1 - self.tokens / self.places if self.places else 0.0,
            "data_wait_share": self.waited / seconds,
        }


class ProgressLine:
    """Prints one line that is updated in place on a terminal, some plain lines elsewhere."""

    def __init__(self, throughput: Throughput, stream: TextIO | None = None):
        """Create the line.

        Args:
            throughput: Of the run; it must come before this one in the list of callbacks.
            stream: Where the line on a terminal goes; None for standard error.
        """
        self._stream = stream or sys.stderr
        self._terminal = self._stream.isatty()
        self._throughput = throughput
        self._shown = 0.0
        # The end of the first step, which compiles and says nothing about the others.
        self._first_end: float | None = None

    def on_step(self, step: StepMetrics) -> None:
        """Print the progress where a line is due."""
        now = time.perf_counter()
        if self._first_end is None:
            self._first_end = now
        if self._terminal and now - self._shown < REFRESH and step.step < step.steps:
            return
        if not self._terminal and step.step % max(1, step.steps // PLAIN_LINES):
            return
        self._shown = now
        rates = self._throughput.rates()
        timed = self._throughput.steps - 1
        left = (now - self._first_end) / timed * (step.steps - step.step) if timed else None
        line = (
            f"step {step.step}/{step.steps} epoch {step.epoch} loss {step.loss:.3f}"
            f" rate {step.learning_rate:.1e} | {rates['examples_per_second']:.0f} texts/s,"
            f" {rates['tokens_per_second']:,.0f} tokens/s, padding {rates['padding_share']:.0%},"
            f" waited for data {rates['data_wait_share']:.1%}"
        )
        if left is not None:
            line += f" | {format_duration(left)} left"
        if not self._terminal:
            logger.info(line)
        elif logger.isEnabledFor(logging.INFO):
            self._stream.write(f"\r\033[K{line}")
            self._stream.flush()

    def on_epoch(self, record: dict[str, Any], evaluation: TaskEvaluation) -> None:
        """Print the dev metrics of the epoch."""
        metrics = ", ".join(
            f"{name} {value:.4f}"
            for name, value in evaluation.metrics.items()
            if isinstance(value, float)
        )
        mark = " (best so far)" if record["best"] else ""
        if self._terminal and logger.isEnabledFor(logging.INFO):
            self._stream.write("\r\033[K")
        logger.info("epoch %d: dev %s%s", record["epoch"], metrics, mark)
