"""The optimizer: fused Adam with decoupled weight decay, under a rate that rises and falls."""

from __future__ import annotations

import tensorflow as tf
import tf_keras
from transformers import AdamWeightDecay

NO_DECAY = ["bias", "LayerNorm"]


class LinearWarmupDecay(tf_keras.optimizers.schedules.LearningRateSchedule):
    """Linear rise to `peak` over `warmup` steps, then linear fall to 0 at `steps`.

    Source: Devlin et al. 2018, appendix A.2.
    """

    def __init__(self, peak: float, warmup: int, steps: int):
        self.peak, self.warmup, self.steps = peak, warmup, steps

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        step = tf.cast(step, tf.float32)
        # Step 0 already moves: a rate of 0 would waste the first batch.
        rising = (step + 1.0) / max(1, self.warmup)
        falling = (self.steps - step) / max(1, self.steps - self.warmup)
        return self.peak * tf.clip_by_value(tf.minimum(rising, falling), 0.0, 1.0)

    def get_config(self) -> dict[str, float]:
        return {"peak": self.peak, "warmup": self.warmup, "steps": self.steps}


def make_optimizer(
    schedule: LinearWarmupDecay, weight_decay: float, model: tf_keras.Model
) -> AdamWeightDecay:
    """AdamW (Loshchilov and Hutter 2019), no decay on biases and layer norms, BERT's own epsilon.

    transformers' class stands on tf_keras' legacy Adam, whose fused kernel takes half the time of
    the newer AdamW on BERT's word embedding.
    """
    optimizer = AdamWeightDecay(
        learning_rate=schedule,
        weight_decay_rate=weight_decay,
        epsilon=1e-6,
        exclude_from_weight_decay=NO_DECAY,
    )
    # Made here and not in the first step, so that a checkpoint finds its moments to restore.
    optimizer._create_all_weights(model.trainable_variables)
    return optimizer
