"""What a process that imports TensorFlow alone can do with an export."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np

from tfpipe.data.read import Examples
from tfpipe.processes import bound

RELOAD = Path(__file__).with_name("reload.py")
BATCH_SIZE = 64

# Texts in UTF-8, or not quite, by the name of the signature's input.
Columns: TypeAlias = dict[str, list[bytes]]


@dataclass(frozen=True)
class Answers:
    """Labels str [N] and scores float32 [N, K] of serving_default."""

    labels: np.ndarray
    scores: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Stranger:
    """What the fresh process found: operations, answers to each batch, and what it said."""

    operations: frozenset[str]
    batches: Sequence[Answers] | None
    said: str

    def answered(self) -> Sequence[Answers]:
        """The answers to each batch; raises RuntimeError where it failed."""
        if self.batches is None:
            raise RuntimeError(f"the export does not load in a fresh process:\n{self.said}")
        return self.batches


def open_as_stranger(export: Path, batches: Sequence[Columns]) -> Stranger:
    """Have an export answer `batches` in a process that imports TensorFlow alone."""
    encoded = [
        {name: [base64.b64encode(text).decode() for text in texts] for name, texts in batch.items()}
        for batch in batches
    ]
    with tempfile.TemporaryDirectory() as folder:
        asked = Path(folder, "batches.json")
        asked.write_text(json.dumps(encoded), encoding="utf-8")
        command = [sys.executable, str(RELOAD), str(export), str(asked), folder]
        done = subprocess.run(bound(command), capture_output=True, text=True)
        listed = Path(folder, "operations.json")
        operations = json.loads(listed.read_text(encoding="utf-8")) if listed.is_file() else []
        found = None
        if not done.returncode:
            with np.load(Path(folder, "answers.npz")) as answers:
                ends = np.cumsum(answers["rows"])[:-1]
                labels, scores = (np.split(answers[name], ends) for name in ("label", "scores"))
            found = [Answers(*batch) for batch in zip(labels, scores, strict=True)]
    return Stranger(frozenset(operations), found, done.stderr)


def batches_of(examples: Examples) -> list[Columns]:
    """All examples in their order, as batches of serving_default."""
    columns = {"text": [text.encode() for text in examples.texts]}
    if examples.text_pairs is not None:
        columns["text_pair"] = [text.encode() for text in examples.text_pairs]
    return [
        {name: texts[start : start + BATCH_SIZE] for name, texts in columns.items()}
        for start in range(0, len(examples), BATCH_SIZE)
    ]


def join(batches: Sequence[Answers]) -> Answers:
    """The answers to all batches as those to one."""
    labels = np.concatenate([batch.labels for batch in batches])
    return Answers(labels, np.concatenate([batch.scores for batch in batches]))
