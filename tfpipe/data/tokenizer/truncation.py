"""How many tokens of two texts are kept, computed in a graph or by numpy."""

from __future__ import annotations

from typing import Any


def truncate_pairs(ops: Any, first: Any, second: Any, capacity: int) -> tuple[Any, Any]:
    """Count the tokens kept of each of two texts, given their lengths: int64 [texts].

    HuggingFace's `longest_first`: the longer text is cut down to the shorter one, then both alike.
    Where `capacity`, the tokens available to both, is odd, the longer text gets the odd token (the
    second text if they are equal).

    Args:
        ops: The module `tensorflow` or `numpy`, whose operations have the same names.
        first: Lengths of the first texts.
        second: Lengths of the second texts.
        capacity: Tokens available to both.
    """
    shorter, longer = ops.minimum(first, second), ops.maximum(first, second)
    half = ops.minimum(shorter, capacity // 2)
    rest = ops.minimum(longer, capacity - half)
    return ops.where(first <= second, half, rest), ops.where(first <= second, rest, half)
