"""A window as batches of like length, and their answers back in the order of the rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tfpipe.data.streaming import Window
from tfpipe.tasks.output_schema import Answers

# Batches of long texts are smaller: what attention needs grows with the square of the length.
PLACES = 16_384


def cut_batches(window: Window, most: int, longest_row: int | None) -> list[np.ndarray]:
    """The rows of each batch, the longest texts first, so that memory runs out at once or never.

    longest_row: tokens that the model reads of a row at most, None where it reads all of it.
    Length is counted in bytes, which no tokenizer is needed for: a token is at least one.
    """
    lengths = np.array([len(text.encode()) for text in window.texts])
    if window.text_pairs is not None:
        lengths += [len(text.encode()) for text in window.text_pairs]
    order = np.argsort(-lengths, kind="stable")
    batches, start = [], 0
    while start < len(order):
        tokens = int(lengths[order[start]]) + 3
        tokens = tokens if longest_row is None else min(longest_row, tokens)
        end = start + max(1, min(most, PLACES // tokens))
        batches.append(order[start:end])
        start = end
    return batches


def take(window: Window, rows: np.ndarray) -> tuple[list[str], list[str] | None]:
    """The texts of these rows, and their pairs."""
    chosen = rows.tolist()
    pairs = window.text_pairs
    texts = [window.texts[row] for row in chosen]
    return texts, None if pairs is None else [pairs[row] for row in chosen]


def in_order(batches: Sequence[np.ndarray], answers: Sequence[Answers]) -> Answers:
    """The answers to all batches of a window in the order of its rows."""
    back = np.argsort(np.concatenate(batches))
    return {name: np.concatenate([one[name] for one in answers])[back] for name in answers[0]}
