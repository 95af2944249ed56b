"""The weights of one encoder with the adapters of several models of one base."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tfpipe.model.encoder import Encoder
from tfpipe.model.fused_weights import TABLES, FrozenWeights
from tfpipe.model.text_model import TextModel

# Value of a part where an adapter does not have it, beside 0: it then changes nothing.
_NONE = {"factor": 1.0}


class SharedWeights:
    """Copies of the weights of models that differ in adapter and head.

    A weight that is equal in all models is kept once; others are stacked, [A, ...], and padded with
    zeros to the largest rank and number of labels.

    Args:
        first: The first model. The others, which `add` takes, have the same tables.
        dtype: Type of the copies and of the matrix products.
    """

    def __init__(self, first: TextModel, dtype: tf.DType):
        self._first, self._dtype = first, dtype
        self._each: list[dict[str, np.ndarray]] = []
        self.add(first)

    def add(self, model: TextModel) -> None:
        """Add a model; of a further one only what differs from the first is kept."""
        copies = {
            name: tf.convert_to_tensor(value).numpy()
            for name, value in model.weights_of_pass(self._dtype, merged=False).items()
        }
        first = self._each[0] if self._each else {}
        self._each.append({name: _same(copies[name], first.get(name)) for name in copies})

    def encoder(self) -> Encoder:
        """Return the fast graph over the weights of all models; a batch then needs `adapter`."""
        weights = {name: self._each[0][name] for name in TABLES}
        for name in sorted({name for one in self._each for name in one} - weights.keys()):
            filling = _NONE.get(name.split("/")[-1], 0.0)
            weights[name] = _stack([one.get(name) for one in self._each], filling)
        return self._first.over_stored(FrozenWeights(weights, self._dtype))


def _same(value: np.ndarray, first: np.ndarray | None) -> np.ndarray:
    return first if first is not None and np.array_equal(value, first) else value


def _stack(values: Sequence[np.ndarray | None], filling: float) -> np.ndarray:
    """Stack the values of the adapters where they differ; `filling` for one that has none."""
    present = [value for value in values if value is not None]
    if all(value is present[0] for value in values):
        return present[0]
    shape = np.max([value.shape for value in present], axis=0)
    stacked = np.zeros([len(values), *shape], present[0].dtype)
    for number, value in enumerate(values):
        if value is None:
            stacked[number] = filling
        else:
            stacked[number][tuple(slice(size) for size in value.shape)] = value
    return stacked
