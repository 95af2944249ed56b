"""Time of the dense products of a forward pass in float32, bfloat16 and int8.

    python benchmarks/products.py RUN DATA.tsv [--sizes 1 32] [--rounds 9]

The products have the sizes of RUN's model and the tokens of DATA's batches, weights drawn at
random, and nothing between them; int8 is TensorFlow's own oneDNN product, of weights scaled by
column, its result scaled back to float32. `quantized` products begin with float32 activations,
whose range is looked for first; `int8` ones are given int8. Attention's products are left out.

Prints medians over the rounds: milliseconds, the share of our answer (text in, label out, in what
`--precision auto` takes by the processor), and how many times as fast as the bfloat16 products (the
median within a round).
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).parents[1]))

# Before TensorFlow: it sets up the environment of TensorFlow and transformers.
from tfpipe.run_folder import open_run  # isort: skip

import numpy as np
import tensorflow as tf

from benchmarks.inference import write_ours
from benchmarks.texts import read_texts
from benchmarks.train import list_precisions
from serving.server.inference.loaded_model import LoadedModel
from tfpipe.library_internals import quantized_product
from tfpipe.model import pretrained

KINDS = ("float32", "bfloat16", "int8", "quantized int8")
# Rows, inputs and outputs of a product.
Product = tuple[int, int, int]
BOUND = 4.0  # of the activations that are drawn


def list_products(config: Any, texts: int, tokens: int) -> list[Product]:
    """List the dense products of one batch; the last layer computes only first tokens."""
    hidden, wide = config.hidden_size, config.intermediate_size
    found = []
    for layer in range(config.num_hidden_layers):
        last = layer == config.num_hidden_layers - 1
        rows = texts if last else tokens
        mixed = [(texts, hidden, hidden), (tokens, hidden, 2 * hidden)]
        found += mixed if last else [(tokens, hidden, 3 * hidden)]
        found += [(rows, hidden, hidden), (rows, hidden, wide), (rows, wide, hidden)]
    return found


def multiply_int8(rows: tf.Tensor, bound: tf.Tensor, kernel: np.ndarray, bias: Any) -> tf.Tensor:
    """Multiply rows, qint8 [T, I] in the range -bound to bound, by the kernel; float32."""
    reach = np.abs(kernel).max(0)
    narrow = np.round(kernel / reach * 127).astype(tf.qint8.as_numpy_dtype)
    return quantized_product(rows, tf.constant(narrow), bias, bound, tf.constant(reach))


def build(products: Sequence[Product], kind: str, rng: np.random.Generator) -> Callable[[], Any]:
    """Make a function that computes all the products."""
    with tf.Graph().as_default():
        session = tf.compat.v1.Session()
        feeds: dict[Any, np.ndarray] = {}
        given: dict[tuple[int, int], tf.Tensor] = {}
        corners: list[tf.Tensor] = []
        dtype = tf.dtypes.as_dtype({"int8": "qint8", "quantized int8": "float32"}.get(kind, kind))
        for rows, width, outputs in products:
            if (rows, width) not in given:
                values = rng.normal(size=(rows, width)).clip(-BOUND, BOUND)
                values = np.round(values / BOUND * 127) if kind == "int8" else values
                given[rows, width] = tf.compat.v1.placeholder(dtype, [None, width])
                feeds[given[rows, width]] = values.astype(dtype.as_numpy_dtype)
            x, bound = given[rows, width], tf.constant(BOUND)
            kernel = rng.normal(size=(width, outputs)).astype(np.float32)
            bias = np.zeros(outputs, np.float32)
            if kind.endswith("int8"):
                if kind != "int8":
                    # Different for every product, as in a model.
                    x = x * tf.constant(1 + len(corners) / 1000)
                    bound = tf.reduce_max(tf.abs(x))
                    x = tf.raw_ops.QuantizeV2(
                        input=x, min_range=-bound, max_range=bound, T=tf.qint8, mode="SCALED"
                    ).output
                y = multiply_int8(x, bound, kernel, tf.constant(bias))
            else:
                y = tf.nn.bias_add(tf.matmul(x, tf.constant(kernel, dtype)), tf.cast(bias, dtype))
            # An output that is not read would not be computed.
            corners.append(tf.cast(y[0, 0], tf.float32))
        call = session.make_callable(tf.add_n(corners), feed_list=list(feeds))
    return lambda: call(*feeds.values())


def our_answer(export: Path, texts: list[str]) -> Callable[[], Any]:
    """Make a function that runs the export on the texts as the server does."""
    model = LoadedModel("ours", int(export.name), export)
    signature = model.signatures["serving_default"]
    feeds = {signature.inputs["text"].name: np.array([t.encode() for t in texts], dtype=object)}
    fetches = [signature.outputs[name].name for name in ("label", "scores")]
    return lambda: model.run_unbatched(feeds, fetches, None)


def time_calls(call: Callable[[], Any], seconds: float) -> float:
    """Measure the median milliseconds of a call."""
    taken: list[float] = []
    while sum(taken) < seconds:
        begun = time.perf_counter()
        call()
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken) * 1000


def main() -> None:
    """Parse the arguments and measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run")
    parser.add_argument("data")
    parser.add_argument("--sizes", type=int, nargs="+", default=(1, 32), help="texts of a batch")
    parser.add_argument("--max-length", type=int, help="in tokens (default: the run's)")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=0.5, help="of each in each round")
    arguments = parser.parse_args()
    run = open_run(arguments.run)
    longest = arguments.max_length or run.config.max_length
    model, texts = pretrained.load(run.model), read_texts(arguments.data)
    masks = model.tokenizer(tf.constant(texts), None, max_length=longest)["attention_mask"]
    counts = masks.numpy().sum(1)
    with tempfile.TemporaryDirectory() as name:
        write_ours(arguments.run, Path(name), longest)
        for size in arguments.sizes:
            starts = range(0, len(texts) - size + 1, size)
            ordered = sorted(starts, key=lambda start: counts[start : start + size].sum())
            start = ordered[len(ordered) // 2]
            tokens = int(counts[start : start + size].sum())
            products = list_products(model.config, size, tokens)
            ours = Path(name, list_precisions()[0], "1")
            calls = {"ours": our_answer(ours, texts[start : start + size])}
            calls |= {kind: build(products, kind, np.random.default_rng(1)) for kind in KINDS}
            rounds = [
                {kind: time_calls(call, arguments.seconds) for kind, call in calls.items()}
                for _ in range(arguments.rounds + 1)
            ][1:]  # without the first, which warms up
            print(f"\nbatch {size}, of median length: {tokens} tokens")
            print(f"{'ms':>8} {'of ours':>8} {'as fast':>8}")
            for kind in calls:
                share, times = (
                    statistics.median(of(r) for r in rounds)
                    for of in (
                        lambda r, kind=kind: r[kind] / r["ours"],
                        lambda r, kind=kind: r["bfloat16"] / r[kind],
                    )
                )
                taken = statistics.median(r[kind] for r in rounds)
                print(f"{taken:8.2f} {share:8.0%} {times:7.2f}x  {kind}")


if __name__ == "__main__":
    main()
