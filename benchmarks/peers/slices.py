"""The data and the line protocol of the trainers of benchmarks/train.py.

Plain Python, so that every peer's interpreter can import it.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

# Slices are cut from a run that is longer than any measurement.
SLICED_EPOCHS = 100
WARMUP, WEIGHT_DECAY, CLIP_NORM = 0.1, 0.01, 1.0


@dataclass(frozen=True)
class Job:
    """One trainer's settings: paths, examples a step, longest input, peak rate, passes."""

    model: str
    train: str
    dev: str
    batch_size: int
    max_length: int
    learning_rate: float
    epochs: int
    precision: str


@dataclass(frozen=True)
class Rows:
    """Texts and the columns of their labels."""

    texts: list[str]
    gold: list[int]
    label_names: list[str]


class Trainer(Protocol):
    """The interface of a trainer of the job's model."""

    def train(self, steps: int) -> tuple[int, int]:
        """Take so many steps; returns examples and tokens, padding not counted."""

    def accuracy(self) -> float:
        """Train a new model for the job's epochs; returns its dev accuracy."""


def read_rows(path: str, label_names: list[str] | None = None) -> Rows:
    """Read a tab-separated file with a header, text first and label second."""
    lines = Path(path).read_text(encoding="utf-8").split("\n")[1:]
    cells = [line.split("\t") for line in lines if line]
    names = label_names or sorted({label for _, label in cells})
    column = {name: number for number, name in enumerate(names)}
    return Rows([text for text, _ in cells], [column[label] for _, label in cells], names)


def read_job() -> Job:
    """Read the job, the JSON argument of the command line."""
    return Job(**json.loads(sys.argv[1]))


def answer_lines(trainer: Trainer) -> None:
    """Answer lines of standard input, one JSON object each, until it ends.

    `train N` is answered with examples, tokens and seconds; `accuracy` with accuracy and seconds.
    """
    # Output of libraries must not mix with the answers.
    answers, sys.stdout = sys.stdout, sys.stderr
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        verb, *arguments = line.split()
        begun = time.perf_counter()
        if verb == "train":
            examples, tokens = trainer.train(int(arguments[0]))
            answer: dict[str, float] = {"examples": examples, "tokens": tokens}
        else:
            answer = {"accuracy": trainer.accuracy()}
        answer["seconds"] = time.perf_counter() - begun
        print(json.dumps(answer), file=answers, flush=True)
