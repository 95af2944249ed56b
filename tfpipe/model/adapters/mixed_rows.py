"""Products of a batch whose texts have different adapters, over the kernels of one BERT."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from tfpipe.model.operations import served_product
from tfpipe.model.packing import PackedTokens

Tensors = dict[str, tf.Tensor]


@dataclass(frozen=True)
class MixedRows:
    """The adapter of each row; weights that differ between adapters are stacked, [A, ...].

    Attributes:
        texts: int32 [B], the adapter of each text.
        rows: int32 [T], that of each row: of a token, or of a text.
        places: Where the tokens of the texts are; None where each text has one row.
    """

    texts: tf.Tensor
    rows: tf.Tensor
    places: PackedTokens | None

    @classmethod
    def of_tokens(cls, adapter: tf.Tensor, places: PackedTokens) -> MixedRows:
        """Make it for rows of tokens; adapter: int32 [B]."""
        return cls(adapter, places.pack(tf.repeat(adapter, places.length)), places)

    def of_texts(self) -> MixedRows:
        """Return the same for rows of which each text has one."""
        return MixedRows(self.texts, self.texts, None)

    def own(self, value: tf.Tensor, rank: int) -> tf.Tensor:
        """Return a stacked value [A, ...] for each row, [T, ...]; one of `rank` itself."""
        return value if value.shape.rank == rank else tf.gather(value, self.rows)

    def dense(self, rows: tf.Tensor, name: str, weights: Mapping[str, Any]) -> tf.Tensor:
        """Compute a dense layer, [T, I] to [T, O].

        Args:
            rows: float [T, I].
            name: Its name in `weights`.
            weights: As `lay_out` lays them out, each part of one value or stacked.
        """
        parts = {
            part: tf.convert_to_tensor(weights[f"{name}/{part}"])
            for part in ("kernel", "bias", "down", "up", "factor")
            if f"{name}/{part}" in weights
        }
        kernel, bias = parts["kernel"], self.own(parts["bias"], 1)
        if kernel.shape.rank == 3:
            product = apply_by_adapter(
                lambda number, rows: {"rows": tf.matmul(rows, kernel[number])},
                *(rows, self.rows, kernel.shape[0]),
            )["rows"]
            return product + bias
        if bias.shape.rank == 1:
            found = served_product(rows, kernel, bias)
        else:
            found = tf.matmul(rows, kernel) + bias
        if "down" in parts:
            found += self._change(rows, parts["down"], parts["up"])
        if "factor" not in parts:
            return found
        factor = self.own(parts["factor"], 1)
        return found * factor + bias * (1.0 - factor)

    def _change(self, rows: tf.Tensor, down: tf.Tensor, up: tf.Tensor) -> tf.Tensor:
        """The low-rank changes of all texts in two products, not of one adapter after another."""
        if down.shape.rank == 2:
            return tf.matmul(tf.matmul(rows, down), up)
        down, up = tf.gather(down, self.texts), tf.gather(up, self.texts)
        if self.places is None:
            return tf.matmul(tf.matmul(rows[:, tf.newaxis], down), up)[:, 0]
        change = tf.matmul(tf.matmul(self.places.spread(rows), down), up)
        return self.places.pack(tf.reshape(change, [-1, up.shape[2]]))


def apply_by_adapter(
    function: Callable[[int, tf.Tensor], Tensors], rows: tf.Tensor, adapter: tf.Tensor, count: int
) -> Tensors:
    """Apply a function of each adapter to its own rows.

    Args:
        function: Takes the number of an adapter and its rows [N, ...]; returns values [N, ...] by
            name, of the same names and shapes for every adapter.
        rows: [T, ...].
        adapter: int32 [T], below `count`.
        count: Number of adapters.

    Returns:
        The values of all rows in their order, [T, ...] by name.
    """
    parts = tf.dynamic_partition(rows, adapter, count)
    places = tf.dynamic_partition(tf.range(tf.shape(adapter)[0]), adapter, count)
    found = [function(number, part) for number, part in enumerate(parts)]
    return {
        name: tf.dynamic_stitch(places, [values[name] for values in found]) for name in found[0]
    }
