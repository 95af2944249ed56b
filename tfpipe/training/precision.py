"""The type of the matrix products, and the loss scale that float16 needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tensorflow as tf

from tfpipe.errors import UserError
from tfpipe.model.text_model import TextModel

LARGEST_SCALE = 2.0**24
AMPERE = (8, 0)


def choose_precision(name: str, model: TextModel) -> str:
    """`float32`, `bfloat16` or `float16`: as asked, or for `auto` the fastest that is as good.

    Products take this type; weights, layer norm, softmax, head and loss are float32. Raises
    UserError where the model is one that only stock TFBert computes, which is float32.
    """
    if model.encoder is None:
        if name not in ("auto", "float32"):
            raise UserError(
                "this model trains in float32 alone",
                f"--precision {name}, and a configuration that the fast graph does not compute",
                "leave out --precision",
            )
        return "float32"
    if name == "auto":
        return "bfloat16" if computes_in_bfloat16() else "float32"
    return name


def computes_in_bfloat16() -> bool:
    """Whether the devices have bfloat16 products in hardware."""
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
    """The factor that lifts float16 gradients out of the range where they round to zero.

    Halved by a step whose gradient is not finite, which then leaves all weights as they are;
    doubled after `patience` good steps. Source: Micikevicius et al. 2018, section 3.2
    (https://arxiv.org/abs/1710.03740). Make it in the strategy's scope; put it in the checkpoint.
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
        """Learn whether a step's gradient was finite; to be called outside of replicas."""
        good = tf.where(finite, self.good_steps + 1, 0)
        grow = good >= self._patience
        raised = tf.where(grow, tf.minimum(self.value * 2.0, LARGEST_SCALE), self.value)
        self.value.assign(tf.where(finite, raised, tf.maximum(self.value / 2.0, 1.0)))
        self.good_steps.assign(tf.where(grow, 0, good))
