"""Inference from text to label against stock TFBert, ONNX Runtime and PyTorch, in one run.

    python benchmarks/inference.py RUN DATA.tsv [--peers PYTHON] [--rounds 5] [--seconds 2]

RUN is a finished training run; DATA.tsv has a header and a text in the first column, need not be
what RUN was trained on, and its texts are taken in the order they arrive. Every model has a process
of its own that waits while another works, tokenizes what it is given, and answers the same batches.
Ours is the export in what `--precision auto` takes by the processor: bfloat16 where it computes
products in it, with one in float32 beside it; else float32, without the peers in bfloat16, which
would be emulated. An export in int8 is beside them where TensorFlow has its products. All are
loaded as the server loads them; PYTHON is an interpreter that has torch, transformers and
onnxruntime (default: this one); without them those peers are left out with a message. Every model
has its default threads, and TensorFlow's also one within an operation
(--tensorflow_intra_op_parallelism=1), which is what an export's own measurement of a server under
load recommends on some machines.

Prints, for each batch size, texts a second (median over the rounds), milliseconds a batch (of all
batches), and how many times as fast ours is, in all and in the median batch (medians
of the ratios within a round); at the end, what each answers beside stock TFBert in float32.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np

from benchmarks.train import ask, can_import, list_precisions

FOLDER = Path(__file__).parent
PEERS = FOLDER / "peers"
SIZES = (1, 8, 32, 128)
OURS, REFERENCE = "ours", "stock TFBert export"
# Seconds of each batch, by size and model.
Round = dict[tuple[int, str], list[float]]


def write_ours(run: str, folder: Path, max_length: int) -> None:
    """Write our exports of a run, such as FOLDER/float32/1."""
    from tfpipe.run_folder import open_run  # isort: skip

    from tfpipe.errors import UserError
    from tfpipe.exporting.precision import scaled_for_int8
    from tfpipe.exporting.saved_model import ExportedModel
    from tfpipe.model import pretrained
    from tfpipe.tasks.task import task_of

    finished = open_run(run)
    model = pretrained.load(finished.model)
    task = task_of(finished.config.task, model)
    precisions = list_precisions()
    try:
        model = scaled_for_int8(model, task, finished.read_dev(), max_length)
        precisions.append("int8")
    except UserError as error:
        print(f"no int8: {error}")
    for precision in precisions:
        export = ExportedModel(model, task, max_length, False, {}, precision)
        export.save(str(folder / precision / "1"))


def find_max_length(run: str) -> int:
    """Return the longest input of a run, in tokens."""
    from tfpipe.run_folder import open_run

    return open_run(run).config.max_length


def models(arguments: argparse.Namespace, folder: Path) -> dict[str, list[str]]:
    """Write the files of every model that can run here; returns their commands by name."""
    run, data = str(Path(arguments.run).resolve()), str(Path(arguments.data).resolve())
    trained, longest = str(Path(run, "model")), str(arguments.max_length or find_max_length(run))
    ours = [sys.executable, str(FOLDER / "our_inference.py")]
    # Each in its own process, whose memory is free again during the measurements.
    subprocess.run([sys.executable, __file__, "--write", run, str(folder), longest], check=True)
    stock = [sys.executable, str(PEERS / "stock_export.py")]
    subprocess.run([*stock, run, str(folder / "stock" / "1"), longest], check=True)
    one_thread = "intra_op_parallelism_threads: 1"
    precisions = [p for p in ("bfloat16", "float32", "int8") if (folder / p).exists()]
    print(f"ours: products in {precisions[0]}")
    commands = {
        OURS: [*ours, str(folder / precisions[0] / "1"), data],
        f"{OURS}, 1 thread": [*ours, str(folder / precisions[0] / "1"), data, one_thread],
        **{f"{OURS} {p}": [*ours, str(folder / p / "1"), data] for p in precisions[1:]},
        REFERENCE: [*ours, str(folder / "stock" / "1"), data],
        f"{REFERENCE}, 1 thread": [*ours, str(folder / "stock" / "1"), data, one_thread],
    }
    if not can_import(arguments.peers, "torch", "transformers"):
        print(f"{arguments.peers} lacks torch or transformers: no PyTorch, no ONNX Runtime")
        return commands
    torch = [arguments.peers, str(PEERS / "torch_inference.py"), trained, data, longest]
    if can_import(arguments.peers, "onnx", "onnxruntime"):
        onnx = [arguments.peers, str(PEERS / "onnx_inference.py")]
        export = [*onnx, "export", trained, str(folder), longest]
        subprocess.run(export, check=True, capture_output=not arguments.loud)
        for precision in ("float32", "int8"):
            graph = str(folder / f"{precision}.onnx")
            commands[f"ONNX Runtime {precision}"] = [*onnx, graph, data, longest, trained]
    else:
        print(f"{arguments.peers} lacks onnx or onnxruntime: no ONNX Runtime")
    narrow = {"bfloat16": "PyTorch bfloat16 weights", "autocast": "PyTorch bfloat16 autocast"}
    if "bfloat16" not in precisions:
        print("bfloat16 is emulated on this processor: PyTorch in float32 alone")
        narrow = {}
    for precision, name in ({"float32": "PyTorch float32"} | narrow).items():
        commands[name] = [*torch, precision]
    return commands


@contextlib.contextmanager
def start(name: str, command: list[str], loud: bool) -> Iterator[subprocess.Popen[str]]:
    """Start a model's process; it is ended with the block."""
    process = subprocess.Popen(
        command,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=None if loud else subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        if process.stdout.readline().strip() != "ready":
            raise RuntimeError(f"{name} did not start; --loud shows its output")
        yield process
    finally:
        process.terminate()
        process.wait()


def time_batches(process: subprocess.Popen[str], size: int, first: int, count: int) -> list[float]:
    """Measure a model's seconds for each of `count` batches from text number `first` on."""
    return cast("list[float]", ask(process, f"time {size} {first} {count}"))


def measure(
    running: dict[str, subprocess.Popen[str]], sizes: Sequence[int], seconds: float, rounds: int
) -> list[Round]:
    """Measure the seconds of every batch; in a round all models run the same batches."""
    counts = {}
    for size in sizes:
        for name, process in running.items():
            # Warm-up, so that everything is compiled for this shape.
            taken = time_batches(process, size, 0, max(2, 64 // size))
            if name == OURS:
                counts[size] = max(2, round(seconds / statistics.median(taken)))
    found, names = [], list(running)
    for number in range(rounds):
        measured: Round = {}
        # Each round starts with another model, so that the order varies.
        turn = number % len(names)
        for size, count in counts.items():
            for name in names[turn:] + names[:turn]:
                first = number * size * count
                measured[size, name] = time_batches(running[name], size, first, count)
        found.append(measured)
        print(".", end="", file=sys.stderr, flush=True)
    return found


def report(rounds: list[Round], names: list[str]) -> None:
    """Print the table of each batch size."""
    for size in sorted({size for size, _ in rounds[0]}):
        count = len(rounds[0][size, OURS])
        print(f"\nbatch {size} ({count} batches a round)")
        print(f"{'texts/s':>9} {'p50 ms':>9} {'p99 ms':>9} {'ours to it':>11} {'in p50':>8}")
        for name in names:
            taken = [r[size, name] for r in rounds]
            rate = statistics.median(size * len(t) / sum(t) for t in taken)
            p50, p99 = np.percentile(np.concatenate(taken) * 1000, [50, 99])
            times = statistics.median(sum(r[size, name]) / sum(r[size, OURS]) for r in rounds)
            median = statistics.median(
                statistics.median(r[size, name]) / statistics.median(r[size, OURS]) for r in rounds
            )
            print(f"{rate:9,.0f} {p50:9.2f} {p99:9.2f} {times:10.2f}x {median:7.2f}x  {name}")


def compare(running: dict[str, subprocess.Popen[str]], folder: Path) -> None:
    """Print how the models' answers differ."""
    answers = {}
    for number, (name, process) in enumerate(running.items()):
        path = folder / f"answers{number}.npz"
        ask(process, f"answer {path}")
        with np.load(path) as found:
            answers[name] = found["labels"], found["scores"]
    labels, scores = answers[REFERENCE]
    print(f"\nanswers to {len(labels)} texts beside {REFERENCE}")
    print(f"{'labels equal':>13} {'largest score difference':>25}")
    for name, (other_labels, other_scores) in answers.items():
        equal = float(np.mean(labels == other_labels))
        print(f"{equal:12.2%} {np.abs(scores - other_scores).max():25.2e}  {name}")


def main() -> None:
    """Parse the arguments and measure."""
    if sys.argv[1:2] == ["--write"]:
        write_ours(sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))
        return
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run")
    parser.add_argument("data")
    parser.add_argument("--peers", default=sys.executable, metavar="PYTHON")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--seconds", type=float, default=2.0, help="of ours at each size in each round"
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="texts of a batch")
    parser.add_argument("--max-length", type=int, help="of all, in tokens (default: the run's)")
    parser.add_argument("--without", action="append", default=[], metavar="WORD", help="leave out")
    parser.add_argument(
        "--loud", action="store_true", help="show the output of the models' processes"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        running = {
            name: stack.enter_context(start(name, command, arguments.loud))
            for name, command in models(arguments, folder).items()
            if name in (OURS, REFERENCE) or not any(word in name for word in arguments.without)
        }
        rounds = measure(running, arguments.sizes, arguments.seconds, arguments.rounds)
        report(rounds, list(running))
        compare(running, folder)


if __name__ == "__main__":
    main()
