"""Mixout: in each training step a share of the weights are the pretrained ones."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tfpipe.model.adapters.targets import TARGETS, dense_layers
from tfpipe.model.fused_weights import KernelTransform
from tfpipe.model.operations import Seeds


class Mixout(tf.Module):
    """Replaces weights of the layers' kernels by those before training, anew in each pass.

    What is left is scaled so that the mean over many passes is the trained kernel:
    (where(drawn, pretrained, trained) - share * pretrained) / (1 - share).
    Source: Lee et al. 2020, equation 6 (https://arxiv.org/abs/1909.11299). Create it in the
    strategy's scope after the weights are loaded; a resumed run loads the same.
    """

    def __init__(self, bert: Any, share: float):
        """Copy the kernels.

        Args:
            bert: A transformers TFBert model with its pretrained weights.
            share: Probability with which a weight is the pretrained one, below 1.
        """
        super().__init__(name="mixout")
        self._share = share
        self._pretrained = {
            name: tf.Variable(dense.kernel.read_value(), trainable=False, name="pretrained")
            for name, _, dense in dense_layers(bert.bert.encoder.layer, [*TARGETS])
        }

    def transform(self, seeds: Seeds) -> KernelTransform:
        """Return the change of a pass's kernels, for `lay_out`.

        Args:
            seeds: Gives each kernel its seed.
        """

        def mix(name: str, kernel: tf.Tensor) -> tf.Tensor:
            if name not in self._pretrained:
                return kernel
            before = tf.convert_to_tensor(self._pretrained[name])
            drawn = tf.random.stateless_uniform(before.shape, seeds()) < self._share
            mixed = tf.where(drawn, before, tf.convert_to_tensor(kernel))
            return (mixed - self._share * before) / (1.0 - self._share)

        return mix
