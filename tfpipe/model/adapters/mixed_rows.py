"""Products of a batch whose texts have different adapters, over the kernels of one BERT.

The products with the kernels are those of all rows together. The small ones with the matrices of
an adapter are those of its own rows: texts of a batch differ in length, and to pad them for one
batched product takes more time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from tfpipe.model.packing import PackedTokens

Tensors = dict[str, tf.Tensor]


@dataclass(frozen=True)
class MixedRows:
    """The adapter of each row; weights that differ between adapters are stacked, [A, ...].

    Attributes:
        texts: int32 [B], the adapter of each text.
        rows: int32 [T], that of each row: of a token, or of a text.
    """

    texts: tf.Tensor
    rows: tf.Tensor

    @classmethod
    def of_tokens(cls, adapter: tf.Tensor, places: PackedTokens) -> MixedRows:
        """Make it for rows of tokens; adapter: int32 [B]."""
        return cls(adapter, places.pack(tf.repeat(adapter, places.length)))

    def of_texts(self) -> MixedRows:
        """Return the same for rows of which each text has one."""
        return MixedRows(self.texts, self.texts)

    def own(self, value: tf.Tensor, rank: int) -> tf.Tensor:
        """Return a stacked value [A, ...] for each row, [T, ...]; one of `rank` itself."""
        return value if value.shape.rank == rank else tf.gather(value, self.rows)

    def dense(
        self,
        rows: tf.Tensor,
        name: str,
        weights: Mapping[str, Any],
        product: Callable[..., tf.Tensor],
    ) -> tf.Tensor:
        """Compute a dense layer, [T, I] to [T, O].

        Args:
            rows: float [T, I].
            name: Its name in `weights`.
            weights: As `lay_out` lays them out, each part of one value or stacked.
            product: Computes a dense layer from rows, kernel and bias.
        """
        parts = {
            part: tf.convert_to_tensor(weights[f"{name}/{part}"])
            for part in ("kernel", "bias", "down", "up", "factor")
            if f"{name}/{part}" in weights
        }
        kernel, bias = parts["kernel"], self.own(parts["bias"], 1)
        if kernel.shape.rank == 3:
            return self._product(rows, [kernel]) + bias
        if bias.shape.rank == 1:
            found = product(rows, kernel, bias)
        else:
            found = tf.matmul(rows, kernel) + bias
        if "down" in parts:
            found += self._product(rows, [parts["down"], parts["up"]])
        if "factor" not in parts:
            return found
        factor = self.own(parts["factor"], 1)
        return found * factor + bias * (1.0 - factor)

    def _product(self, rows: tf.Tensor, matrices: Sequence[tf.Tensor]) -> tf.Tensor:
        """Multiply rows by matrices, the rows of each adapter by its own; others are of all."""
        stacked = [matrix for matrix in matrices if matrix.shape.rank == 3]

        def multiply(number: int, part: tf.Tensor) -> Tensors:
            for matrix in matrices:
                part = tf.matmul(part, matrix[number] if matrix.shape.rank == 3 else matrix)
            return {"rows": part}

        if not stacked:
            return multiply(0, rows)["rows"]
        return apply_by_adapter(multiply, rows, self.rows, stacked[0].shape[0])["rows"]


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
