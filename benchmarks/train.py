"""Training against the stock recipe and PyTorch, alternating in one run in slices of steps.

    python benchmarks/train.py TRAIN.tsv [--dev DEV.tsv --accuracy] [--peers PYTHON]

TRAIN.tsv and DEV.tsv have a header, a text in the first column and a label in the second. Four
trainers fine-tune one checkpoint, each in a process of its own that waits while another works:
ours; TFBert with Keras fit and AdamW, padded to --max-length; PyTorch with bfloat16 autocast, or
float32 where the processor would emulate it, and fused AdamW, with dynamic padding, and with
length-grouped batches. PYTHON is an interpreter that has torch and transformers (default: this
one); without them PyTorch is left out with a message.

Prints medians over the rounds; of the ratios, too, each taken within one round. Tokens are those
of the texts: padding is not counted. With --accuracy every trainer then starts afresh, trains
--epochs epochs with the same peak rate, warm-up, decay and clipping, and is evaluated on dev.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent / "peers"))

from slices import Job

FOLDER = Path(__file__).parent
OURS = "ours"
Answer = dict[str, float]


@contextlib.contextmanager
def start(command: list[str], job: Job) -> Iterator[subprocess.Popen[str]]:
    """Start a trainer's process; it is ended with the block."""
    program, script, *arguments = command
    process = subprocess.Popen(
        [program, script, json.dumps(dataclasses.asdict(job)), *arguments],
        env={**os.environ, "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        if process.stdout.readline().strip() != "ready":
            raise RuntimeError(f"{script} did not start; its error is above")
        yield process
    finally:
        process.terminate()
        process.wait()


def ask(process: subprocess.Popen[str], line: str) -> Answer:
    """Send one line to a process and read its answer."""
    assert process.stdin is not None and process.stdout is not None
    print(line, file=process.stdin, flush=True)
    answer = process.stdout.readline()
    if not answer:
        raise RuntimeError("a trainer ended; its error is above")
    return json.loads(answer)


def can_import(python: str, *modules: str) -> bool:
    """Return whether an interpreter can import these modules."""
    found = [f"importlib.util.find_spec({module!r})" for module in modules]
    script = f"import importlib.util, sys; sys.exit(not all([{', '.join(found)}]))"
    return subprocess.run([python, "-c", script], check=False).returncode == 0


def list_precisions() -> list[str]:
    """Return the types of our exports, that of `--precision auto` first."""
    from tfpipe.training.precision import computes_in_bfloat16

    return ["bfloat16", "float32"] if computes_in_bfloat16() else ["float32"]


def trainers(peers: str, without: list[str]) -> dict[str, list[str]]:
    """List the commands of all trainers that can run here, by name."""
    torch = [peers, str(FOLDER / "peers" / "torch_train.py")]
    precision = list_precisions()[0]
    print(f"PyTorch: products in {precision}", file=sys.stderr)
    commands = {
        OURS: [sys.executable, str(FOLDER / "our_train.py")],
        "stock": [sys.executable, str(FOLDER / "peers" / "stock_train.py")],
        "torch dynamic": [*torch, "dynamic", precision],
        "torch grouped": [*torch, "grouped", precision],
    }
    if not can_import(peers, "torch", "transformers"):
        print(f"{peers} lacks torch or transformers: PyTorch is left out", file=sys.stderr)
        without = [*without, "torch"]
    return {
        name: command
        for name, command in commands.items()
        if not any(name.startswith(word) for word in without)
    }


def report(rounds: list[dict[str, Answer]]) -> None:
    """Print the table: medians, and ratios within a round."""

    def rate(answer: Answer, what: str) -> float:
        return answer[what] / answer["seconds"]

    print(f"\n{'tokens/s':>10} {'examples/s':>11} {'ours to it':>11} {'in tokens':>10}")
    for name in rounds[0]:
        tokens, examples = (
            statistics.median(rate(r[name], what) for r in rounds)
            for what in ("tokens", "examples")
        )
        by_examples, by_tokens = (
            statistics.median(rate(r[OURS], what) / rate(r[name], what) for r in rounds)
            for what in ("examples", "tokens")
        )
        print(f"{tokens:10,.0f} {examples:11.1f} {by_examples:10.2f}x {by_tokens:9.2f}x  {name}")


def measure(arguments: argparse.Namespace, job: Job) -> None:
    """Run the trainers in alternation and print the results."""
    with contextlib.ExitStack() as stack:
        running = {
            name: stack.enter_context(start(command, job))
            for name, command in trainers(arguments.peers, arguments.without).items()
        }
        rounds = []
        for number in range(arguments.rounds + 1):
            slices = {
                name: ask(process, f"train {arguments.steps}") for name, process in running.items()
            }
            # The first round compiles and warms up.
            if number:
                rounds.append(slices)
            print(".", end="", file=sys.stderr, flush=True)
        if rounds:
            report(rounds)
        if not arguments.accuracy:
            return
        print(f"\ndev accuracy after {job.epochs} epochs")
        for name, process in running.items():
            answer = ask(process, "accuracy")
            print(f"{answer['accuracy']:8.4f} in {answer['seconds']:7.1f} s  {name}", flush=True)


def main() -> None:
    """Parse the arguments and measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("train")
    parser.add_argument("--dev", help="labelled file for --accuracy (default: TRAIN)")
    parser.add_argument("--accuracy", action="store_true", help="train whole epochs afterwards")
    parser.add_argument("--model", default="starter", help="`starter` or a folder")
    parser.add_argument("--peers", default=sys.executable, metavar="PYTHON")
    parser.add_argument("--without", action="append", default=[], metavar="NAME", help="leave out")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=20, help="of each slice")
    parser.add_argument("--epochs", type=int, default=3, help="of --accuracy")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--max-length", type=int, default=128, help="the stock recipe pads to it")
    parser.add_argument("--learning-rate", type=float, default=1.5e-4, help="peak")
    parser.add_argument("--precision", default="auto", help="of ours")
    arguments = parser.parse_args()
    if arguments.accuracy and not arguments.dev:
        parser.error("--accuracy needs --dev")

    from tfpipe.model.presets import find_folder

    job = Job(
        model=str(find_folder(arguments.model).resolve()),
        train=str(Path(arguments.train).resolve()),
        dev=str(Path(arguments.dev or arguments.train).resolve()),
        batch_size=arguments.batch_size,
        max_length=arguments.max_length,
        learning_rate=arguments.learning_rate,
        epochs=arguments.epochs,
        precision=arguments.precision,
    )
    measure(arguments, job)


if __name__ == "__main__":
    main()
