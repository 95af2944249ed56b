"""The optimizer: fused Adam with decoupled weight decay, and a rate of its own for each layer."""

from __future__ import annotations

import re
from collections.abc import Callable

import tf_keras

from tfpipe.training.adam import LayerwiseAdam
from tfpipe.training.schedules import Schedule

NO_DECAY = ["bias", "LayerNorm"]
LAYER = re.compile(r"/encoder/layer_\._(\d+)/")
HEAD = re.compile(r"/pooler/|(^|/)(classifier|qa_outputs)/")


def rate_factors(layers: int, layer_decay: float, head_factor: float) -> Callable[[str], float]:
    """The factor of the peak rate for a variable's name, in a BERT of so many layers.

    The last layer has 1, each layer below it `layer_decay` times that of the one above, the
    embeddings come below the first layer; pooler and head have `head_factor`. Source: Howard and
    Ruder 2018, section 3.2 (https://arxiv.org/abs/1801.06146); Sun et al. 2019, section 5.3.4
    (https://arxiv.org/abs/1905.05583).
    """

    def factor_of(name: str) -> float:
        if HEAD.search(name):
            return head_factor
        if layer := LAYER.search(name):
            return layer_decay ** (layers - 1 - int(layer.group(1)))
        return layer_decay**layers if "/embeddings/" in name else 1.0

    return factor_of


def is_decayed(name: str) -> bool:
    """Whether weight decay and the L2 penalty hold for a variable of this name."""
    return not any(part in name for part in NO_DECAY)


def make_optimizer(
    schedule: Schedule,
    weight_decay: float,
    model: tf_keras.Model,
    layer_decay: float = 1.0,
    head_rate: float | None = None,
) -> LayerwiseAdam:
    """AdamW (Loshchilov and Hutter 2019), no decay on biases and layer norms, BERT's own epsilon.

    head_rate: peak rate of pooler and head, None for that of the schedule. transformers' class
    stands on tf_keras' legacy Adam, whose fused kernel takes half the time of the newer AdamW on
    BERT's word embedding.
    """
    head_factor = 1.0 if head_rate is None else head_rate / schedule.peak
    optimizer = LayerwiseAdam(
        rate_factors(model.config.num_hidden_layers, layer_decay, head_factor),
        learning_rate=schedule,
        weight_decay_rate=weight_decay,
        epsilon=1e-6,
        exclude_from_weight_decay=NO_DECAY,
    )
    # Made here and not in the first step, so that a checkpoint finds its moments to restore.
    optimizer._create_all_weights(model.trainable_variables)
    return optimizer
