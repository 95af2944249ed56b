"""One encoder with the adapters of several models of one base."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import tensorflow as tf

from tfpipe.model.encoder import Encoder
from tfpipe.model.fused_weights import TABLES, FrozenWeights
from tfpipe.model.text_model import TextModel

# Value of a part where an adapter does not have it: it then changes nothing.
_NONE = {"factor": 1.0}


def share_encoder(models: Iterable[TextModel], dtype: tf.DType) -> Encoder:
    """Return one encoder over copies of the weights of models that differ in adapter and head.

    A weight that is equal in all models is stored once; others are stacked, [A, ...], and padded
    with zeros to the largest rank and number of labels. A batch then needs `adapter`.

    Args:
        models: The models, whose tables are equal.
        dtype: Type of the copies and of the matrix products.
    """
    each: list[dict[str, np.ndarray]] = []
    over = None
    for model in models:
        over = over or model.over_stored
        copies = {
            name: _copy(value) for name, value in model.weights_of_pass(dtype, merged=False).items()
        }
        # Equal arrays are one object: of each further model only what differs takes memory.
        first = each[0] if each else {}
        each.append({name: _same(copies[name], first.get(name)) for name in copies})
    assert over is not None, "there is no model"
    weights = {name: each[0][name] for name in TABLES}
    for name in sorted({name for one in each for name in one} - weights.keys()):
        weights[name] = _stack([one.get(name) for one in each], _NONE.get(name.split("/")[-1], 0.0))
    return over(FrozenWeights(weights, dtype))


def _copy(value: object) -> np.ndarray:
    return tf.convert_to_tensor(value).numpy()


def _same(value: np.ndarray, first: np.ndarray | None) -> np.ndarray:
    return first if first is not None and np.array_equal(value, first) else value


def _stack(values: Sequence[np.ndarray | None], filling: float) -> np.ndarray:
    """Stack the values of the adapters where they differ; `filling` for one that has none."""
    first = next(value for value in values if value is not None)
    if all(value is first for value in values):
        return first
    present = [value for value in values if value is not None]
    shape = np.max([value.shape for value in present], axis=0)
    stacked = np.zeros([len(values), *shape], first.dtype)
    for number, value in enumerate(values):
        if value is None:
            stacked[number] = filling
        else:
            stacked[number][tuple(slice(size) for size in value.shape)] = value
    return stacked
