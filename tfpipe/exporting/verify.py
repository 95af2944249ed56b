"""Proof that an export says what training says: reloaded in a fresh process, text by text."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfpipe.data.read import Examples
from tfpipe.tasks.evaluation import Evaluation

TOLERANCE = 1e-5
RELOAD = Path(__file__).with_name("reload.py")


@dataclass(frozen=True)
class Parity:
    """How an export's answers compare with the training process."""

    texts: int
    other_labels: int
    largest_difference: float

    @property
    def holds(self) -> bool:
        return self.other_labels == 0 and self.largest_difference <= TOLERANCE


def compare(export: Path, examples: Examples, expected: Evaluation) -> Parity:
    """Answers of the export, in a process that imports TensorFlow alone, against `expected`.

    Raises RuntimeError when the fresh process fails.
    """
    columns = {"text": list(examples.texts)}
    if examples.text_pairs is not None:
        columns["text_pair"] = list(examples.text_pairs)
    with tempfile.TemporaryDirectory() as folder:
        inputs, outputs = Path(folder, "inputs.json"), Path(folder, "outputs.npz")
        inputs.write_text(json.dumps(columns), encoding="utf-8")
        command = [sys.executable, str(RELOAD), str(export), str(inputs), str(outputs)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"the export does not load in a fresh process:\n{done.stderr}")
        with np.load(outputs) as answers:
            labels, scores = answers["label"], answers["scores"]
    wanted = np.array([expected.label_names[i] for i in expected.predicted])
    return Parity(
        texts=len(labels),
        other_labels=int((labels != wanted).sum()),
        largest_difference=float(np.abs(scores - expected.scores).max()),
    )
