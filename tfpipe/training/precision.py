"""The dtype of the matrix products, and the loss scale of float16 training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tensorflow as tf

from tfpipe.errors import UserError
from tfpipe.model.text_model import TextModel

LARGEST_SCALE = 2.0**24
AMPERE = (8, 0)


def choose_precision(name: str, model: TextModel) -> str:
    """Resolve the dtype of the matrix products.

    Weights, layer norm, softmax, head and loss are always float32.

    Args:
        name: A value of `--precision`; `auto` is bfloat16 on hardware that computes in it, else
            float32.
        model: The model to train.

    Returns:
        `float32`, `bfloat16` or `float16`.

    Raises:
        UserError: Only stock TFBert computes this model, which is float32.
    """
    if model.encoder is None:
        if name not in ("auto", "float32"):
            raise UserError(
                "this model can only train in float32",
                f"--precision {name}, and a configuration that the fast graph does not compute",
                "leave out --precision",
            )
        return "float32"
    if name == "auto":
        return "bfloat16" if computes_in_bfloat16() else "float32"
    return name


def computes_in_bfloat16() -> bool:
    """Return whether the hardware computes matrix products in bfloat16."""
    if tf.config.list_logical_devices("TPU"):
        return True
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
        return all(detail.get("compute_capability", (0, 0)) >= AMPERE for detail in details)
    try:
        features = Path("/proc/cpuinfo").read_text(encoding="utf-8").split()
    except OSError:
        return False
    return "avx512_bf16" in features or "amx_bf16" in features


class LossScale(tf.Module):
    """Dynamic loss scale, which keeps float16 gradients from rounding to zero.

    Halved after a step whose gradient is not finite, which changes no weight; doubled after
    `patience` good steps in a row. Source: Micikevicius et al. 2018, section 3.2
    (https://arxiv.org/abs/1710.03740). Create it in the strategy's scope, and save it in the
    checkpoint.

    Attributes:
        value: float32, the factor of the loss.
        good_steps: int32, steps since the last change.
    """

    def __init__(self, start: float = 2.0**15, patience: int = 2000):
        super().__init__(name="loss_scale")
        self._patience = patience
        options: dict[str, Any] = {
            "trainable": False,
            "aggregation": tf.VariableAggregation.ONLY_FIRST_REPLICA,
        }
        self.value = tf.Variable(start, dtype=tf.float32, name="value", **options)
        self.good_steps = tf.Variable(0, dtype=tf.int32, name="good_steps", **options)

    def update(self, finite: tf.Tensor) -> None:
        """Update the scale after a step; to be called in cross-replica context."""
        good = tf.where(finite, self.good_steps + 1, 0)
        grow = good >= self._patience
        raised = tf.where(grow, tf.minimum(self.value * 2.0, LARGEST_SCALE), self.value)
        self.value.assign(tf.where(finite, raised, tf.maximum(self.value / 2.0, 1.0)))
        self.good_steps.assign(tf.where(grow, 0, good))
