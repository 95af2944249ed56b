"""What a dry run looks at: the batch that needs the most memory, and what was left on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tensorflow as tf

from tfpipe.data.encode import Encoded, Labelled


def longest_rows(labelled: Labelled, rows: int) -> Labelled:
    """The `rows` longest examples, the longest first."""
    chosen = np.argsort(-labelled.encoded.lengths, kind="stable")[:rows]
    encoded = labelled.encoded
    rows_of = [int(row) for row in chosen]
    pieces = [slice(encoded.splits[row], encoded.splits[row + 1]) for row in rows_of]
    return Labelled(
        labelled.examples.take(rows_of),
        Encoded(
            np.concatenate([encoded.ids[piece] for piece in pieces]),
            np.concatenate([encoded.token_types[piece] for piece in pieces]),
            np.concatenate([[0], np.cumsum(encoded.lengths[chosen], dtype=np.int64)]),
            encoded.full_lengths[chosen],
        ),
        labelled.gold[chosen],
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
