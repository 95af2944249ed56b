"""AdaLoRA: low-rank changes whose ranks are chosen during training, within a budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import tensorflow as tf

from tfpipe.model.adapters.adapter import AdapterSettings
from tfpipe.model.adapters.lora import LoRA
from tfpipe.model.fused_weights import LowRank

DEVIATION = 0.02
ORTHOGONALITY = 0.1  # weight of the penalty
SMOOTHING = 0.85  # of sensitivity and of its uncertainty, over the steps
# Shares of the steps before the budget falls, and after it has fallen.
WARM_UP, FINAL = 0.1, 0.4


class AdaLoRA(LoRA):
    """A kernel W [in, out] becomes W + scale * A diag(e) B, with columns of A and rows of B.

    Each of the matrices begins with one and a half times `rank` singular values e. From a tenth of
    the steps on those of least importance in all matrices are set to 0; when four tenths are left,
    `rank` a matrix remain on average. A penalty keeps A and B orthogonal. Source: Zhang et al.
    2023, equations 3 and 7 to 12 (https://arxiv.org/abs/2303.10512).
    """

    method = "adalora"
    peft_type = "ADALORA"

    def __init__(self, settings: AdapterSettings, bert: Any):
        kept, first = settings.rank, settings.initial_rank or -(-3 * settings.rank // 2)
        super().__init__(replace(settings, rank=first), bert)
        self.settings = replace(settings, initial_rank=first)
        self._scale = settings.alpha / (first + 1e-5)
        self._first, self._last = first * len(self._down), kept * len(self._down)
        self._steps = 0
        random = np.random.default_rng(settings.seed)
        for variable in (*self._down.values(), *self._up.values()):
            start = random.normal(0, DEVIATION, variable.shape)
            variable.assign(start.astype(np.float32))

        def zeros(like: Sequence[tf.Variable], kind: str) -> list[tf.Variable]:
            return [
                tf.Variable(tf.zeros_like(v), trainable=False, name=f"adalora/{kind}") for v in like
            ]

        self._values = {
            name: tf.Variable(
                np.zeros([1, first], np.float32),
                name=down.name.replace("lora_A:0", "lora_E"),
            )
            for name, down in self._down.items()
        }
        self._sensitivity = zeros(self._matrices, "sensitivity")
        self._uncertainty = zeros(self._matrices, "uncertainty")
        self._step = tf.Variable(0, dtype=tf.int64, trainable=False, name="adalora/step")

    @property
    def _matrices(self) -> list[tf.Variable]:
        """All A, then all B, then all e."""
        return [*self._down.values(), *self._up.values(), *self._values.values()]

    def trained(self, backbone: Any) -> Sequence[tf.Variable]:  # noqa: D102
        return self._matrices

    @property
    def state(self) -> Sequence[tf.Variable]:  # noqa: D102
        return [self._step, *self._sensitivity, *self._uncertainty]

    def change_of(self, name: str) -> LowRank | None:  # noqa: D102
        if name not in self._down:
            return None
        return LowRank(self._down[name] * self._values[name], self._up[name] * self._scale)

    def merge(self, name: str, kernel: tf.Tensor) -> tf.Tensor:  # noqa: D102
        change = self.change_of(name)
        return kernel if change is None else kernel + tf.matmul(change.down, change.up)

    def reset(self, backbone: Any) -> None:  # noqa: D102
        for values in self._values.values():
            values.assign(tf.zeros_like(values))

    def describe(self, config: Any) -> dict[str, Any]:  # noqa: D102
        ranks = {"target_r": self.settings.rank, "init_r": self.settings.initial_rank}
        # peft does not read a folder without a schedule.
        return super().describe(config) | ranks | {"total_step": 1, "tinit": 0, "tfinal": 0}

    def _parts(self) -> Mapping[str, Mapping[str, tf.Variable]]:
        return {"lora_A": self._down, "lora_B": self._up, "lora_E": self._values}

    # ---- training
    def begin(self, steps: int) -> None:  # noqa: D102
        self._steps = steps

    def penalty_gradient(self, variable: tf.Variable) -> tf.Tensor | None:
        """Return the gradient of ORTHOGONALITY * |A^T A - I|^2, or of |B B^T - I|^2."""
        if any(variable is down for down in self._down.values()):
            excess = tf.matmul(variable, variable, transpose_a=True)
            excess -= tf.eye(variable.shape[1])
            return 4 * ORTHOGONALITY * tf.matmul(variable, excess)
        if any(variable is up for up in self._up.values()):
            excess = tf.matmul(variable, variable, transpose_b=True) - tf.eye(variable.shape[0])
            return 4 * ORTHOGONALITY * tf.matmul(excess, variable)
        return None

    def after_step(self, gradients: Sequence[tf.Tensor]) -> None:
        """Set the singular values of least importance to 0; gradients: those of `trained`."""
        scores = []
        for number, variable in enumerate(self._matrices):
            now = tf.abs(variable * tf.convert_to_tensor(gradients[number]))
            smooth, spread = self._sensitivity[number], self._uncertainty[number]
            before = tf.convert_to_tensor(smooth)
            after = SMOOTHING * before + (1 - SMOOTHING) * now
            smooth.assign(after)
            apart = SMOOTHING * spread + (1 - SMOOTHING) * tf.abs(now - after)
            spread.assign(apart)
            scores.append(after * apart)
        count = len(self._down)
        downs, ups, values = (scores[n * count : (n + 1) * count] for n in range(3))
        importance = tf.stack(
            [
                value[0] + tf.reduce_mean(down, 0) + tf.reduce_mean(up, 1)
                for down, up, value in zip(downs, ups, values, strict=True)
            ]
        )
        kept = self._most_important(importance)
        for number, variable in enumerate(self._values.values()):
            variable.assign(tf.where(kept[number][tf.newaxis], variable, 0.0))
        self._step.assign_add(1)

    def _most_important(self, importance: tf.Tensor) -> tf.Tensor:
        """Return which singular values stay, bool [matrices, first rank]."""
        ranks = tf.argsort(tf.argsort(tf.reshape(-importance, [-1]), stable=True))
        return tf.reshape(ranks < self._budget(), tf.shape(importance))

    def _budget(self) -> tf.Tensor:
        """The number of singular values that stay after this step, int32."""
        begin = WARM_UP * self._steps
        length = max(1.0, (1 - WARM_UP - FINAL) * self._steps)
        done = (tf.cast(self._step, tf.float32) + 1.0 - begin) / length
        left = (1.0 - tf.clip_by_value(done, 0.0, 1.0)) ** 3
        return self._last + tf.cast(tf.math.ceil((self._first - self._last) * left), tf.int32)
