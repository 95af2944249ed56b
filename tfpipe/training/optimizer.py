"""The optimizer: AdamW with layer-wise learning rates."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tfpipe.data.arrays import Int32Array
from tfpipe.library_internals import create_slots
from tfpipe.model.text_model import TextModel
from tfpipe.training.adamw import LayerwiseAdamW
from tfpipe.training.schedules import Schedule

NO_DECAY = ["bias", "LayerNorm", "lora_magnitude"]


def rate_factors(
    model: TextModel, layer_decay: float, head_factor: float
) -> Callable[[str], float]:
    """Make the function from a variable's name to the factor of its peak rate.

    The last layer has 1, each layer below it `layer_decay` times that of the one above, the
    embeddings come below the first layer. Source: Howard and Ruder 2018, section 3.2
    (https://arxiv.org/abs/1801.06146); Sun et al. 2019, section 5.3.4
    (https://arxiv.org/abs/1905.05583).

    Args:
        model: The model, for its number of layers.
        layer_decay: Factor from each layer to the one below.
        head_factor: Factor of pooler and head.
    """
    top = len(model.layers)

    def factor_of(name: str) -> float:
        depth = model.depth_of(name)
        return head_factor if depth > top else layer_decay ** (top - depth)

    return factor_of


def is_decayed(name: str) -> bool:
    """Return whether weight decay and the L2 penalty apply to a variable of this name."""
    return not any(part in name for part in NO_DECAY)


def make_optimizer(
    schedule: Schedule,
    weight_decay: float,
    model: TextModel,
    layer_decay: float = 1.0,
    head_rate: float | None = None,
    token_ids: Int32Array | None = None,
) -> LayerwiseAdamW:
    """Make AdamW (Loshchilov and Hutter 2019) with BERT's epsilon.

    transformers' class is based on tf_keras' legacy Adam, whose fused kernel takes half the time
    of the newer AdamW on BERT's word embedding.

    Args:
        schedule: The learning rate.
        weight_decay: Decoupled decay; none on biases and layer norms.
        model: The model to train.
        layer_decay: Factor of the rate from each layer to the one below.
        head_rate: Peak rate of pooler and head; None for that of the schedule.
        token_ids: int32 [T], the tokens of the training data; None where any may come. Moments of
            the word embedding are kept for these.
    """
    head_factor = 1.0 if head_rate is None else head_rate / schedule.peak
    used = None
    if token_ids is not None:
        used = np.union1d(token_ids, [model.tokenizer.frame.pad]).astype(np.int32)
    optimizer = LayerwiseAdamW(
        rate_factors(model, layer_decay, head_factor),
        used,
        learning_rate=schedule,
        weight_decay_rate=weight_decay,
        epsilon=1e-6,
        exclude_from_weight_decay=NO_DECAY,
    )
    # Created here and not in the first step, so that a checkpoint can restore the moments.
    create_slots(optimizer, model.trainable_variables)
    return optimizer
