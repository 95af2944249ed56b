"""LoRA and DoRA: low-rank changes of the kernels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfpipe.errors import UserError
from tfpipe.model.adapters.adapter import Adapter, AdapterSettings
from tfpipe.model.adapters.targets import dense_layers, peft_modules
from tfpipe.model.fused_weights import LowRank


class LoRA(Adapter):
    """A kernel W [in, out] becomes W + scale * A B, with A [in, r] and B [r, out].

    A is random and B zero at the start, so that nothing is changed. Source: Hu et al. 2021, section
    4.1 (https://arxiv.org/abs/2106.09685).
    """

    method = "lora"
    peft_type = "LORA"

    def __init__(self, settings: AdapterSettings, bert: Any):
        super().__init__(settings, bert)
        self._down: dict[str, tf.Variable] = {}
        self._up: dict[str, tf.Variable] = {}
        self._places: dict[str, str] = {}
        random = np.random.default_rng(settings.seed)
        for name, place, dense in dense_layers(bert.bert.encoder.layer, settings.targets):
            size, units = dense.kernel.shape
            if settings.rank > min(size, units):
                raise UserError(
                    "--adapter-rank is above the rank of a kernel",
                    f"{settings.rank}, and {place} is {size} x {units}",
                    f"give --adapter-rank {min(size, units)} or less",
                )
            # As torch.nn.Linear begins, which peft takes.
            limit = size**-0.5
            start = random.uniform(-limit, limit, [size, settings.rank]).astype(np.float32)
            variable = _named(dense)
            self._down[name] = tf.Variable(start, name=f"{variable}/lora_A")
            zeros = np.zeros([settings.rank, units], np.float32)
            self._up[name] = tf.Variable(zeros, name=f"{variable}/lora_B")
            self._places[name] = place

    def trained(self, backbone: Any) -> Sequence[tf.Variable]:  # noqa: D102
        return [*self._down.values(), *self._up.values()]

    def change_of(self, name: str) -> LowRank | None:  # noqa: D102
        if name not in self._down:
            return None
        return LowRank(self._down[name], self._up[name] * self.settings.scale)

    def merge(self, name: str, kernel: tf.Tensor) -> tf.Tensor:  # noqa: D102
        if name not in self._down:
            return kernel
        return kernel + self.settings.scale * tf.matmul(self._down[name], self._up[name])

    def reset(self, backbone: Any) -> None:  # noqa: D102
        for up in self._up.values():
            up.assign(tf.zeros_like(up))

    def describe(self, config: Any) -> dict[str, Any]:  # noqa: D102
        return {
            "r": self.settings.rank,
            "lora_alpha": self.settings.alpha,
            "lora_dropout": self.settings.dropout,
            "use_rslora": self.settings.rank_stabilized,
            "use_dora": False,
            "target_modules": peft_modules(self.settings.targets, config.num_hidden_layers),
            "bias": "none",
            "fan_in_fan_out": False,
        }

    def tensors(self, backbone: Any) -> Mapping[str, tf.Variable]:  # noqa: D102
        return {
            f"{place}.{part}": variables[name]
            for name, place in self._places.items()
            for part, variables in self._parts().items()
        }

    def _parts(self) -> Mapping[str, Mapping[str, tf.Variable]]:
        """The variables of the kernels, by the name that peft has for a part of a change."""
        return {"lora_A.weight": self._down, "lora_B.weight": self._up}


class DoRA(LoRA):
    """A kernel becomes m * (W + scale * A B) / |W + scale * A B|, each column by its own length.

    The lengths m [out] are trained, too, and begin as those of W. The length of the changed kernel
    is a constant for the gradient. Source: Liu et al. 2024, equations 5 and 11
    (https://arxiv.org/abs/2402.09353).
    """

    method = "dora"

    def __init__(self, settings: AdapterSettings, bert: Any):
        super().__init__(settings, bert)
        self._kernels: dict[str, tf.Variable] = {}
        self._lengths: dict[str, tf.Variable] = {}
        for name, _, dense in dense_layers(bert.bert.encoder.layer, settings.targets):
            self._kernels[name] = dense.kernel
            length = tf.norm(dense.kernel, axis=0)
            self._lengths[name] = tf.Variable(length, name=f"{_named(dense)}/lora_magnitude")

    def trained(self, backbone: Any) -> Sequence[tf.Variable]:  # noqa: D102
        return [*super().trained(backbone), *self._lengths.values()]

    def change_of(self, name: str) -> LowRank | None:  # noqa: D102
        change = super().change_of(name)
        if change is None:
            return None
        changed = super().merge(name, self._kernels[name])
        factor = self._lengths[name] / tf.stop_gradient(tf.norm(changed, axis=0))
        return LowRank(change.down, change.up, factor)

    def merge(self, name: str, kernel: tf.Tensor) -> tf.Tensor:  # noqa: D102
        changed = super().merge(name, kernel)
        if name not in self._lengths:
            return changed
        return changed * (self._lengths[name] / tf.norm(changed, axis=0))

    def reset(self, backbone: Any) -> None:  # noqa: D102
        super().reset(backbone)
        for name, length in self._lengths.items():
            length.assign(tf.norm(self._kernels[name], axis=0))

    def describe(self, config: Any) -> dict[str, Any]:  # noqa: D102
        return super().describe(config) | {"use_dora": True}

    def _parts(self) -> Mapping[str, Mapping[str, tf.Variable]]:
        return {**super()._parts(), "lora_magnitude_vector": self._lengths}


def _named(dense: Any) -> str:
    """The name of a dense layer's variables, by which they have their depth in the model."""
    return dense.kernel.name.removesuffix("/kernel:0")
