"""What training tells those who look on: a progress line, TensorBoard, sums."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from tfpipe.tasks.task import TaskEvaluation


@dataclass(frozen=True)
class StepMetrics:
    """What one training step did; tokens do not count padding, places do.

    seconds: from the step before to this one's end; waited: seconds of these without a batch.
    """

    step: int
    steps: int
    epoch: int
    loss: float
    learning_rate: float
    gradient_norm: float
    examples: int
    tokens: int
    places: int
    seconds: float
    waited: float = 0.0

    @property
    def metrics(self) -> dict[str, float]:
        """The curves of a step: what it learnt and how fast."""
        return {
            "loss": self.loss,
            "learning_rate": self.learning_rate,
            "gradient_norm": self.gradient_norm,
            "examples_per_second": self.examples / self.seconds,
            "tokens_per_second": self.tokens / self.seconds,
            "padding_share": 1 - self.tokens / self.places,
            "data_wait_share": self.waited / self.seconds,
        }


class Callback(Protocol):
    """Somebody who looks on."""

    def on_step(self, step: StepMetrics) -> None:
        """A training step is done."""

    def on_epoch(self, record: dict[str, Any], evaluation: TaskEvaluation) -> None:
        """An epoch is done and dev has been looked at; record: epoch, step, loss, dev figures."""
