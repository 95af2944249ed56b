"""Batches of training examples, without dropout and augmentation, by which parts are chosen."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tfpipe.data.batches import plan_training, read_batches
from tfpipe.data.encoded import EncodedDataset


def draw_batches(train: EncodedDataset, batch_size: int, seed: int, most: int) -> tuple[Any, int]:
    """Draw whole batches of about `most` examples, or of all.

    Returns:
        A tf.data.Dataset of batches as in training, and the number of examples in them.
    """
    lengths = train.encoded.lengths
    of_groups = lengths.reshape(train.groups, train.together).max(axis=1)
    plan = plan_training(of_groups, batch_size, 1, 1, [seed]).of_inputs(lengths, train.together)
    steps = min(len(plan), -(-most // batch_size))
    batches = read_batches(train.encoded, plan, tf.distribute.get_strategy(), train.targets)
    return batches.take(steps), sum(plan.examples(step) for step in range(steps))
