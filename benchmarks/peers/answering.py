"""The line protocol of the models of benchmarks/inference.py.

Plain Python and numpy, so that every peer's interpreter can import it.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

# Labels of B texts, and their scores float32 [B, K] in the columns' order.
Classify = Callable[[list[str]], tuple[list[str], np.ndarray]]
ANSWERED = 32  # texts in a batch of `answer`


def answer_lines(classify: Classify, texts: list[str]) -> None:
    """Answer lines of standard input, one JSON value each, until it ends.

    `time SIZE FIRST COUNT` is answered with the seconds of each of COUNT batches, which begin at
    text number FIRST and go round; `answer FILE` writes labels and scores of all texts there.
    """
    # Output of libraries must not mix with the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        verb, *arguments = line.split()
        if verb == "time":
            size, first, count = map(int, arguments)
            found: object = time_batches(classify, texts, size, first, count)
        else:
            found = write_answers(classify, texts, Path(arguments[0]))
        print(json.dumps(found), file=answers, flush=True)


def time_batches(
    classify: Classify, texts: list[str], size: int, first: int, count: int
) -> list[float]:
    """Measure the seconds of each batch, from texts to labels."""
    taken = []
    for number in range(count):
        start = first + number * size
        batch = [texts[row % len(texts)] for row in range(start, start + size)]
        begun = time.perf_counter()
        classify(batch)
        taken.append(time.perf_counter() - begun)
    return taken


def write_answers(classify: Classify, texts: list[str], path: Path) -> int:
    """Write labels and scores of all texts; returns how many."""
    batches = [
        classify(texts[start : start + ANSWERED]) for start in range(0, len(texts), ANSWERED)
    ]
    labels = [label for found, _ in batches for label in found]
    np.savez(path, labels=np.array(labels), scores=np.concatenate([s for _, s in batches]))
    return len(labels)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Compute scores, float32 [B, K], from logits [B, K]."""
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)
