"""Columns of a file of answers: vectors."""

from __future__ import annotations

import numpy as np

from tfpipe.tasks.output_schema import Answers, Names, Outputs, OutputSchema

DECIMALS = 6


def write_vectors(found: Outputs, _: Names) -> Answers:
    """Return the vector as a list of numbers."""
    return {"embedding": np.round(found["embedding"].astype(np.float64), DECIMALS)}


SCHEMA = OutputSchema((("text",),), ("embedding",), ("embedding",), write_vectors)
