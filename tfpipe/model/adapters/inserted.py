"""Adapters that insert something between the layers of a BERT, which cannot be merged into it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfpipe.errors import UserError
from tfpipe.model.adapters.adapter import Adapter, AdapterSettings
from tfpipe.model.adapters.targets import TARGETS
from tfpipe.model.fused_weights import Weights

# Standard deviation of initial values, as of BERT's own.
DEVIATION = 0.02


class Bottleneck(Adapter):
    """A sublayer's output x [H] becomes x + f(x D + d) U + u, with D [H, r] and U [r, H].

    f is the model's activation; U is zero at the start, so that nothing is changed. `targets` are
    the sublayers: `attention_output` and `output` as in Houlsby et al. 2019, section 2.1
    (https://arxiv.org/abs/1902.00751), or `output` alone as in Pfeiffer et al. 2020, section 3
    (https://arxiv.org/abs/2005.00247).
    """

    method = "bottleneck"
    mergeable = False
    places = ("attention_output", "output")

    def __init__(self, settings: AdapterSettings, bert: Any):
        # All kernels are the default of the settings: of these, the places there are.
        settings = settings.only(self.places)
        super().__init__(settings, bert)
        self._parts: dict[str, tf.Variable] = {}
        self._places: dict[str, str] = {}
        random, width = np.random.default_rng(settings.seed), bert.config.hidden_size
        for number in range(len(bert.bert.encoder.layer)):
            for target in settings.targets:
                start = random.normal(0, DEVIATION, [width, settings.rank])
                values = {
                    "down/kernel": start,
                    "down/bias": np.zeros([settings.rank]),
                    "up/kernel": np.zeros([settings.rank, width]),
                    "up/bias": np.zeros([width]),
                }
                place = f"encoder.layer.{number}.{TARGETS[target].removesuffix('.dense')}"
                for part, value in values.items():
                    name = f"layer{number}/{target}/bottleneck_{part}"
                    # transformers' names, by which variables have their depth in the model.
                    named = f"encoder/layer_._{number}/{target}/bottleneck_{part}"
                    self._parts[name] = tf.Variable(value.astype(np.float32), name=f"/{named}")
                    ending = "weight" if part.endswith("kernel") else "bias"
                    self._places[name] = f"{place}.bottleneck_{part.split('/')[0]}.{ending}"

    def trained(self, backbone: Any) -> Sequence[tf.Variable]:  # noqa: D102
        return list(self._parts.values())

    def inserted(self, backbone: Any) -> Weights:  # noqa: D102
        return dict(self._parts)

    def tensors(self, backbone: Any) -> Mapping[str, tf.Variable]:  # noqa: D102
        return {place: self._parts[name] for name, place in self._places.items()}


class Prefix(Adapter):
    """Keys and values of `rank` further positions before the text, in every layer.

    They are E W + b in training, with E [rank, H] and W [H, 2 H layers] and a tanh layer between
    (reparametrised); kept is the result alone. Source: Li and Liang 2021, section 4
    (https://arxiv.org/abs/2101.00190).
    """

    method = "prefix"
    peft_type = "PREFIX_TUNING"
    mergeable = False
    # It moves the positions of its texts.
    shareable = False

    def __init__(self, settings: AdapterSettings, bert: Any):
        super().__init__(settings, bert)
        config, self.positions = bert.config, settings.rank
        self._layers, width = config.num_hidden_layers, config.hidden_size
        if settings.rank >= config.max_position_embeddings:
            raise UserError(
                "--adapter-rank is as long as the longest input of the model",
                f"{settings.rank} positions of {config.max_position_embeddings}",
                "give a shorter prefix, such as --adapter-rank 20",
            )
        random = np.random.default_rng(settings.seed)

        def make(name: str, *shape: int, zero: bool = False) -> tf.Variable:
            start = np.zeros(shape) if zero else random.normal(0, DEVIATION, shape)
            return tf.Variable(start.astype(np.float32), name=f"prefix/{name}")

        columns = 2 * self._layers * width
        if settings.reparametrized:
            self._table = make("embedding", settings.rank, width)
            self._inner = make("inner/kernel", width, width), make("inner/bias", width, zero=True)
            self._outer = (
                make("outer/kernel", width, columns),
                make("outer/bias", columns, zero=True),
            )
        else:
            self._table = make("prompt", settings.rank, columns)

    def trained(self, backbone: Any) -> Sequence[tf.Variable]:  # noqa: D102
        if not self.settings.reparametrized:
            return [self._table]
        return [self._table, *self._inner, *self._outer]

    def inserted(self, backbone: Any) -> Weights:  # noqa: D102
        parts = tf.split(self._prompt(), 2 * self._layers, axis=1)
        names = [(layer, part) for layer in range(self._layers) for part in ("keys", "values")]
        found = {
            f"layer{layer}/prefix_{part}": value
            for (layer, part), value in zip(names, parts, strict=True)
        }
        # The prefix has the first positions, the text those behind them.
        return found | {"positions": backbone.embeddings.position_embeddings[self.settings.rank :]}

    def describe(self, config: Any) -> dict[str, Any]:  # noqa: D102
        return {
            "num_virtual_tokens": self.settings.rank,
            "num_layers": config.num_hidden_layers,
            "token_dim": config.hidden_size,
            "num_attention_heads": config.num_attention_heads,
            "num_transformer_submodules": 1,
            "encoder_hidden_size": config.hidden_size,
            "prefix_projection": False,
        }

    def tensors(self, backbone: Any) -> Mapping[str, Any]:  # noqa: D102
        return {"prompt_embeddings": self._prompt()}

    def _prompt(self) -> Any:
        """Keys and values of all layers, float32 [rank, 2 H layers]."""
        if not self.settings.reparametrized:
            return self._table
        (kernel, bias), (outer, outer_bias) = self._inner, self._outer
        return tf.matmul(tf.tanh(tf.matmul(self._table, kernel) + bias), outer) + outer_bias
