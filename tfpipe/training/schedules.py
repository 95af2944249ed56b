"""Learning rate schedules: a linear warm-up, then one of four decays."""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf
import tf_keras

from tfpipe.config import TrainConfig


class Schedule(tf_keras.optimizers.schedules.LearningRateSchedule):
    """Linear rise to `peak` over `warmup` steps, then a fall to `final` * `peak` at `steps`.

    A subclass defines the fall; here it is a straight line. Source of the warm-up: Goyal et al.
    2017, section 2.2 (https://arxiv.org/abs/1706.02677).

    Attributes:
        peak: The largest rate.
        warmup: Steps of the rise.
        steps: Steps of the run.
        final: Share of the peak rate at the end.
    """

    def __init__(self, peak: float, warmup: int, steps: int, final: float = 0.0):
        self.peak, self.warmup, self.steps, self.final = peak, warmup, steps, final

    def shape(self, left: tf.Tensor) -> tf.Tensor:
        """Compute the decay.

        Args:
            left: float32, the share of the steps after the warm-up that are left, from 1 to 0.

        Returns:
            float32, from 1 to 0.
        """
        return left

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """Compute the rate of a step, float32; `step` counts from 0."""
        step = tf.cast(step, tf.float32)
        # Step 0 already moves: a rate of 0 would waste the first batch.
        rising = (step + 1.0) / max(1, self.warmup)
        left = (self.steps - step) / max(1, self.steps - self.warmup)
        falling = self.shape(tf.clip_by_value(left, 0.0, 1.0))
        falling = self.final + (1.0 - self.final) * falling
        return self.peak * tf.clip_by_value(tf.minimum(rising, falling), 0.0, 1.0)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the schedule, as Keras asks for."""
        return dict(vars(self))


class LinearWarmupDecay(Schedule):
    """Decay in a straight line. Source: Devlin et al. 2018, appendix A.2."""


class CosineWarmupDecay(Schedule):
    """Decay along half a cosine.

    Source: Loshchilov and Hutter 2017, equation 5, one cycle (https://arxiv.org/abs/1608.03983).
    """

    def shape(self, left: tf.Tensor) -> tf.Tensor:
        """Compute the decay; see Schedule."""
        return 0.5 * (1.0 - tf.cos(math.pi * left))


class PolynomialWarmupDecay(Schedule):
    """Decay as the share of the steps left to the power of `power`.

    Source: the `poly` policy of Chen et al. 2016 (https://arxiv.org/abs/1606.00915).
    """

    def __init__(
        self, peak: float, warmup: int, steps: int, final: float = 0.0, power: float = 2.0
    ):
        super().__init__(peak, warmup, steps, final)
        self.power = power

    def shape(self, left: tf.Tensor) -> tf.Tensor:
        """Compute the decay; see Schedule."""
        return left**self.power


class ConstantAfterWarmup(Schedule):
    """Constant at the peak. Source: Goyal et al. 2017, as the warm-up."""

    def shape(self, left: tf.Tensor) -> tf.Tensor:
        """Compute the decay; see Schedule."""
        return tf.ones_like(left)


SCHEDULES: dict[str, type[Schedule]] = {
    "linear": LinearWarmupDecay,
    "cosine": CosineWarmupDecay,
    "polynomial": PolynomialWarmupDecay,
    "constant": ConstantAfterWarmup,
}


def make_schedule(config: TrainConfig, steps: int) -> Schedule:
    """Make the configured schedule over `steps` steps; config.learning_rate is resolved."""
    assert config.learning_rate is not None
    more = {"power": config.schedule_power} if config.schedule == "polynomial" else {}
    warmup = round(config.warmup * steps)
    return SCHEDULES[config.schedule](
        config.learning_rate, warmup, steps, config.final_rate, **more
    )
