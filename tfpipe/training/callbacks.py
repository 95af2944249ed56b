"""The interface of training callbacks, and the metrics of a step that they receive."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from tfpipe.tasks.task import TaskEvaluation


@dataclass(frozen=True)
class StepMetrics:
    """The result of one training step.

    Attributes:
        step: Number of the step in the run, from 1.
        steps: Steps of the whole run.
        epoch: Number of the epoch, from 1.
        loss: Mean loss of the batch.
        learning_rate: The rate of the schedule.
        gradient_norm: Global norm of the gradient before clipping.
        examples: Examples in the batch.
        tokens: Tokens in the batch, without padding.
        places: Tokens in the batch, with padding.
        seconds: Seconds from the end of the previous step to the end of this one.
        waited: Seconds of these that were spent waiting for the batch.
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
        """The values that are plotted over the steps."""
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
    """A training callback."""

    def on_step(self, step: StepMetrics) -> None:
        """Handle the end of a training step."""

    def on_epoch(self, record: dict[str, Any], evaluation: TaskEvaluation) -> None:
        """Handle the end of an epoch.

        Args:
            record: epoch, step, loss, dev metrics, and whether it is the best epoch so far.
            evaluation: The evaluation on dev.
        """
