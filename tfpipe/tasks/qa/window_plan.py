"""The layout of a context's windows, computed in a graph or by numpy.

In all functions `ops` is the module `tensorflow` or `numpy`, whose operations have the same names.
"""

from __future__ import annotations

from typing import Any


def plan_windows(
    ops: Any, questions: Any, contexts: Any, capacity: int, stride: int
) -> tuple[Any, Any, Any]:
    """Return the tokens kept of each question, those of a window, and those to the next window.

    All are int64 [B]. See context_windows.window_contexts.

    Args:
        ops: See above.
        questions: int64 [B], tokens of each question.
        contexts: int64 [B], tokens of each context.
        capacity: Tokens of a question and a window, without specials.
        stride: Tokens from one window to the next.
    """
    kept = ops.minimum(questions, ops.maximum(capacity - contexts, capacity // 2))
    left = capacity - kept
    step = ops.maximum(ops.minimum(left - left // 4, stride), 1)
    return kept, left, step


def count_windows(ops: Any, lengths: Any, capacity: Any, step: Any) -> Any:
    """Count the windows of each row, int64 [B]: the fewest that hold all tokens, and one at least.

    Args:
        ops: See above.
        lengths: int64 [B], tokens of each row.
        capacity: int64, [B] or of all rows: tokens of a window.
        step: int64, [B] or of all rows: tokens from one window to the next.
    """
    return 1 + (ops.maximum(lengths - capacity, 0) + step - 1) // step
