"""Bit-equal repeats, and what they cost."""

from __future__ import annotations

import tensorflow as tf
from tensorflow.python.framework import config as framework

from tfpipe.training.checkpointing import State
from tfpipe.training.step_runner import Steps


def price_determinism(steps: Steps, state: State) -> str:
    """A sentence: how much longer a step takes with deterministic kernels, measured just now.

    The state must have been saved: it is restored afterwards.
    """
    # TensorFlow's public interface can only switch them on.
    framework.disable_op_determinism()
    try:
        free = steps.time_step()
        tf.config.experimental.enable_op_determinism()
        bound = steps.time_step()
    except tf.errors.ResourceExhaustedError:
        return "deterministic: its price was not measured, for memory ran out"
    finally:
        tf.config.experimental.enable_op_determinism()
        state.restore()
    return (
        f"deterministic: a step takes {bound / free:.2f} times as long"
        f" ({1000 * bound:.0f} ms, otherwise {1000 * free:.0f} ms; medians of 5)"
    )
