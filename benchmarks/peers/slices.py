"""Shared by the trainers of benchmarks/train.py: data, and command loop on standard input.

Plain Python, so that every peer's interpreter can import it.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

# Epochs of the schedule: the measured slices belong to a run longer than any measurement.
SLICED_EPOCHS = 100
WARMUP, WEIGHT_DECAY, CLIP_NORM = 0.1, 0.01, 1.0


@dataclass(frozen=True)
class Job:
    """Settings of a trainer: paths, batch size, maximum length, peak learning rate, epochs."""

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
    """Texts and the label index of each."""

    texts: list[str]
    gold: list[int]
    label_names: list[str]


class Trainer(Protocol):
    """Trainer of the job's model."""

    def train(self, steps: int) -> tuple[int, int]:
        """Train for `steps`; return examples and tokens, padding not counted."""

    def accuracy(self) -> float:
        """Return the dev accuracy of a new model after the job's epochs."""


def read_rows(path: str, label_names: list[str] | None = None) -> Rows:
    """Read a tab-separated file with a header, text first and label second."""
    lines = Path(path).read_text(encoding="utf-8").split("\n")[1:]
    cells = [line.split("\t") for line in lines if line]
    names = label_names or sorted({label for _, label in cells})
    column = {name: number for number, name in enumerate(names)}
    return Rows([text for text, _ in cells], [column[label] for _, label in cells], names)


def read_job() -> Job:
    """Read the job from the command line, a JSON object."""
    return Job(**json.loads(sys.argv[1]))


def answer_lines(trainer: Trainer) -> None:
    """Execute commands of standard input; print one JSON object for each.

    `train N` prints examples, tokens and seconds; `accuracy` prints accuracy and seconds.
    """
    # Libraries that print must not corrupt the output.
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
