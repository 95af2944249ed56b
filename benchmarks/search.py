"""Exact search of an index's graph against faiss IndexFlatIP, in one run.

    python benchmarks/search.py [--entries 20000] [--size 384] [--top-k 10] [--rounds 40]

Needs faiss-cpu. Both search the same random unit vectors and must give equal entries, and scores
equal to 1e-5. Prints, for each batch size, the median milliseconds of both and the median of the
ratios within a round.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

sys.path.insert(0, str(Path(__file__).parents[1]))

import faiss
import numpy as np
import tensorflow as tf

from tfpipe.retrieval.entries import Entries
from tfpipe.retrieval.indexed_model import IndexedModel, Search, Statistics
from tfpipe.retrieval.text_encoder import TextEncoder

SIZES = (1, 8, 32)


def unit(vectors: np.ndarray) -> np.ndarray:
    """Return float32 vectors of length 1."""
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def graph_of(vectors: np.ndarray, asked: np.ndarray, top_k: int) -> Callable[[], dict[str, Any]]:
    """Return the search of an index whose encoder gives the asked vectors at once."""
    held = tf.Variable(asked)
    encoder = SimpleNamespace(
        embed=lambda texts: tf.identity(held), module=SimpleNamespace(weights=None, tokenizer=None)
    )
    names = [str(number) for number in range(len(vectors))]
    entries = Entries(names, names, names, None, {}, ())
    model = IndexedModel(
        cast(TextEncoder, encoder), entries, Statistics(vectors, None), Search(1.0, 0.0, top_k), {}
    )
    texts = tf.constant(["text"] * len(asked))
    return lambda: model.serve(texts)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    for name, default in (("entries", 20_000), ("size", 384), ("top-k", 10), ("rounds", 40)):
        parser.add_argument(f"--{name}", type=int, default=default)
    arguments = parser.parse_args()
    random = np.random.default_rng(0)
    vectors = unit(random.normal(size=(arguments.entries, arguments.size)))
    index = faiss.IndexFlatIP(arguments.size)
    index.add(vectors)
    for size in SIZES:
        near = vectors[random.integers(0, len(vectors), size)]
        asked = unit(near + 0.05 * random.normal(size=near.shape))
        search = graph_of(vectors, asked, arguments.top_k)
        scores, numbers = index.search(asked, arguments.top_k)
        found = search()
        assert (found["id"].numpy().astype(int) == numbers).all(), "other entries"
        assert np.abs(found["score"].numpy() - scores).max() < 1e-5, "other scores"
        seconds = np.zeros((arguments.rounds, 2))
        for row in seconds:
            began = time.perf_counter()
            index.search(asked, arguments.top_k)
            middle = time.perf_counter()
            search()
            row[:] = middle - began, time.perf_counter() - middle
        theirs, ours = np.median(seconds, axis=0) * 1000
        ratio = np.median(seconds[:, 1] / seconds[:, 0])
        print(
            f"{size} texts: faiss {theirs:.2f} ms, graph {ours:.2f} ms, {ratio:.2f} times as long"
        )


if __name__ == "__main__":
    main()
