"""AdamW with a learning rate factor per variable and sparse embedding updates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from tfpipe.data.arrays import Int32Array
from tfpipe.model.transformers_classes import AdamWeightDecay

# In the name of the variable.
WORD_EMBEDDING = "/word_embeddings/"
Coefficients = dict[str, tf.Tensor]


class LayerwiseAdamW(AdamWeightDecay):
    """AdamW whose learning rate is multiplied by a factor for each variable.

    Decay and update use the same rate. A dense gradient takes the fused kernel of tf_keras' legacy
    Adam. The gradient of an embedding comes in slices and updates the rows that some batch has
    used: the moments of all other rows are 0, and so is Adam's step for them. These rows do not
    decay either, so that tokens without training examples keep their pretrained embeddings. Of the
    word embedding, whose rows are mostly of such tokens, moments are kept for the others only.
    Source: Loshchilov and Hutter 2019, algorithm 2 (https://arxiv.org/abs/1711.05101).
    """

    def __init__(
        self,
        factor_of: Callable[[str], float],
        used_rows: Int32Array | None = None,
        **settings: Any,
    ):
        """Create the optimizer.

        Args:
            factor_of: From a variable's name to the factor of its rate.
            used_rows: int32 [U], ascending, the rows of the word embedding that batches may use;
                None for all.
            **settings: Arguments of transformers' AdamWeightDecay.
        """
        super().__init__(name="AdamWeightDecay", **settings)
        self._factor_of, self._used_rows = factor_of, used_rows

    def _rows_of(self, var: Any) -> Int32Array | None:
        """The rows of a variable that have moments; None for all."""
        return self._used_rows if WORD_EMBEDDING in var.name else None

    def _create_slots(self, var_list: Sequence[tf.Variable]) -> None:
        for variable in var_list:
            rows, shape = self._rows_of(variable), variable.shape
            shape = shape if rows is None else [len(rows), *shape[1:]]
            for name in ("m", "v"):
                self.add_slot(variable, name, shape=shape)
            if "embeddings" in variable.name and variable.shape.rank == 2:
                self.add_slot(variable, "seen", shape=shape[:1])

    def _resource_apply_dense(
        self, grad: tf.Tensor, var: Any, apply_state: Any = None
    ) -> tf.Operation:
        used = self._rows_of(var)
        if used is not None:
            return self._resource_apply_sparse_duplicate_indices(
                tf.gather(grad, used), var, tf.constant(used), apply_state
            )
        state = self._state(var, apply_state)
        first, second = (self.get_slot(var, name) for name in ("m", "v"))
        decayed = []
        if self._do_use_weight_decay(var.name):
            # One temporary, whose buffer the variable takes over.
            decayed.append(var.assign(var * self._kept(var, state), read_value=False))
        with tf.control_dependencies(decayed):
            return tf.raw_ops.ResourceApplyAdam(
                var=var.handle,
                m=first.handle,
                v=second.handle,
                beta1_power=state["beta_1_power"],
                beta2_power=state["beta_2_power"],
                lr=state["lr_t"],
                beta1=state["beta_1_t"],
                beta2=state["beta_2_t"],
                epsilon=state["epsilon"],
                grad=grad,
            )

    def _resource_apply_sparse_duplicate_indices(
        self, grad: tf.Tensor, handle: Any, indices: tf.Tensor, apply_state: Any = None
    ) -> tf.Operation:
        # The base class sums equal slices first; here the segment sum does.
        var = handle
        state = self._state(var, apply_state)
        first, second, seen = (self.get_slot(var, name) for name in ("m", "v", "seen"))
        used = self._rows_of(var)
        if used is not None:
            # From here on, rows are those of the moments.
            indices = tf.searchsorted(used, tf.cast(indices, tf.int32))
        update = tf.raw_ops.ResourceScatterUpdate
        marks = tf.ones_like(indices, tf.float32)
        marked = update(resource=seen.handle, indices=indices, updates=marks)
        with tf.control_dependencies([marked]):
            flags = seen.read_value() > 0
        rows = tf.where(flags)[:, 0]
        places = tf.gather(tf.cumsum(tf.cast(flags, tf.int32)) - 1, indices)
        grad = tf.math.unsorted_segment_sum(grad, places, tf.size(rows))
        mean, square = tf.gather(first, rows), tf.gather(second, rows)
        var_rows = rows if used is None else tf.gather(tf.cast(used, tf.int64), rows)
        value = tf.gather(var, var_rows)
        mean += (grad - mean) * state["one_minus_beta_1_t"]
        square += (grad * grad - square) * state["one_minus_beta_2_t"]
        # As the fused kernel: epsilon stands beside the uncorrected root.
        rate = state["lr_t"] * tf.sqrt(1.0 - state["beta_2_power"])
        rate /= 1.0 - state["beta_1_power"]
        value = value * self._kept(var, state) - rate * mean / (tf.sqrt(square) + state["epsilon"])
        moved = ((var, var_rows, value), (first, rows, mean), (second, rows, square))
        return tf.group(
            *(update(resource=table.handle, indices=at, updates=new) for table, at, new in moved)
        )

    def _state(self, var: Any, apply_state: Any) -> Coefficients:
        """The coefficients of the update, with the rate of `var`."""
        key = (var.device, var.dtype.base_dtype)
        state = (apply_state or {}).get(key) or self._fallback_apply_state(*key)
        factor = self._factor_of(var.name)
        return state if factor == 1.0 else {**state, "lr_t": state["lr_t"] * factor}

    def _kept(self, var: Any, state: Coefficients) -> Any:
        """The factor by which a weight is decayed."""
        decays = self._do_use_weight_decay(var.name)
        return 1.0 - state["lr_t"] * state["weight_decay_rate"] if decays else 1.0
