"""What a dry run looks at: the texts that need the most memory, and what was left on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tensorflow as tf

from tfpipe.data.encode import Labelled
from tfpipe.data.read import Examples


def take_longest(labelled: Labelled, count: int) -> Examples:
    """The `count` longest examples, the longest first."""
    return labelled.examples.take(
        np.argsort(-labelled.full_lengths, kind="stable")[:count].tolist()
    )


def read_back(checkpoint: Path) -> int:
    """Bytes of all tensors of a checkpoint, each of them read; raises RuntimeError for a NaN."""
    reader, total = tf.train.load_checkpoint(str(checkpoint / "tensors")), 0
    for name, dtype in reader.get_variable_to_dtype_map().items():
        value = reader.get_tensor(name)
        if dtype.is_floating and not np.isfinite(value).all():
            raise RuntimeError(f"{name} in {checkpoint} is not finite after one step")
        total += getattr(value, "nbytes", len(value) if isinstance(value, bytes) else 0)
    return total
