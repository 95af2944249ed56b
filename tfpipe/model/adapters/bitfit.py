"""BitFit: only the biases are trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from tfpipe.model.adapters.adapter import Adapter
from tfpipe.model.stored_weights import pytorch_name


class BitFit(Adapter):
    """All biases of embeddings, layers and pooler are trained, those of norms included.

    Source: Ben Zaken et al. 2021 (https://arxiv.org/abs/2106.10199).
    """

    method = "bitfit"

    def trained(self, backbone: Any) -> Sequence[tf.Variable]:  # noqa: D102
        return [v for v in backbone.weights if v.name.endswith(("/bias:0", "/beta:0"))]

    def tensors(self, backbone: Any) -> Mapping[str, tf.Variable]:  # noqa: D102
        found = {pytorch_name(v.name.split("/", 1)[1]): v for v in self.trained(backbone)}
        return {name.removeprefix("bert."): variable for name, variable in found.items()}
