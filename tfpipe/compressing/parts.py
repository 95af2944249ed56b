"""The choice of the parts that a smaller model keeps: layers, then heads, then inner units."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from tfpipe.compressing.importance import choose_best, measure_importance
from tfpipe.compressing.layer_choice import choose_layers
from tfpipe.compressing.training_batches import draw_batches
from tfpipe.config import CompressConfig
from tfpipe.data.encoded import EncodedDataset
from tfpipe.model.fused_weights import used_width
from tfpipe.model.pruned import list_attention_outputs, list_outputs, prune, prune_heads
from tfpipe.model.text_model import TextModel
from tfpipe.training.objective import Loss

logger = logging.getLogger(__name__)

# Examples by whose loss heads and units are chosen; of more, as many are drawn.
MOST_EXAMPLES = 2_000

Pruning = Callable[[TextModel], TextModel]


def choose_parts(
    model: TextModel, config: CompressConfig, loss: Loss, train: EncodedDataset, batch_size: int
) -> Sequence[Pruning]:
    """Choose what is removed of a model; each kind after the one before is removed.

    Args:
        model: The model.
        config: How many layers, heads and units are kept.
        loss: The loss of a batch, which training minimises.
        train: The training examples, in tokens of the model.
        batch_size: Examples of a batch.

    Returns:
        The removals in order, also for models with the same parts and another vocabulary.
    """
    found: list[Pruning] = []

    def remove(pruning: Pruning) -> None:
        nonlocal model
        model = pruning(model)
        found.append(pruning)

    if config.layers is not None:
        layers = choose_layers(model, loss, train, batch_size, config.seed, config.layers)
        logger.info(f"layers kept: {', '.join(str(layer + 1) for layer in layers)}")
        remove(partial(prune, layers=layers, units=_all_units(model)[: len(layers)]))
    drawn = draw_batches(train, batch_size, config.seed, MOST_EXAMPLES)
    if config.heads is not None:
        rows = model.config.hidden_size // model.config.num_attention_heads
        kernels = list_attention_outputs(model)
        heads = choose_best(measure_importance(model, loss, drawn, kernels, rows), config.heads)
        remove(partial(prune_heads, heads=heads))
        logger.info(
            f"heads kept: {config.heads} of {used_width(model.config)} columns in each layer"
        )
    if config.ffn is not None:
        importance = measure_importance(model, loss, drawn, list_outputs(model), 1)
        units = choose_best(importance, config.ffn)
        remove(partial(prune, layers=[*range(len(units))], units=units))
    return found


def _all_units(model: TextModel) -> list[np.ndarray]:
    return [np.arange(model.config.intermediate_size) for _ in model.layers]
