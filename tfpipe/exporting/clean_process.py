"""Run an exported SavedModel in a subprocess that imports only TensorFlow."""

from __future__ import annotations

import base64
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np

from tfpipe import fork_server
from tfpipe.data.examples import Examples

WORKER = Path(__file__).with_name("clean_process_worker.py")
BATCH_SIZE = 64

# Texts by the name of the signature's input; not all of them are valid UTF-8.
Columns: TypeAlias = dict[str, list[bytes]]
# Outputs of serving_default for N rows, by name; strings are str [N, ...].
Answers: TypeAlias = "dict[str, np.ndarray]"


class TakesTexts(Protocol):
    """What has inputs of texts: a task, or an index."""

    def inputs(self, pairs: bool) -> Sequence[str]:
        """Return the names of the inputs of serving_default."""

    def served_texts(self, examples: Examples) -> Examples:
        """Return the examples as serving_default takes their texts."""


@dataclass(frozen=True)
class CleanProcessResult:
    """Result of the subprocess.

    Attributes:
        operations: Operations with a CPU kernel.
        batches: Answers to each batch; None where it failed.
        stderr: Its standard error.
    """

    operations: frozenset[str]
    batches: Sequence[Answers] | None
    stderr: str

    def answered(self) -> Sequence[Answers]:
        """Return the answers to each batch; raises RuntimeError where the process failed."""
        if self.batches is None:
            raise RuntimeError(f"the export does not load in a fresh process:\n{self.stderr}")
        return self.batches


def run_in_clean_process(export: Path, batches: Sequence[Columns]) -> CleanProcessResult:
    """Run an export on batches in a process that imports TensorFlow alone."""
    encoded = [
        {name: [base64.b64encode(text).decode() for text in texts] for name, texts in batch.items()}
        for batch in batches
    ]
    with tempfile.TemporaryDirectory() as folder:
        requests = Path(folder, "batches.json")
        requests.write_text(json.dumps(encoded), encoding="utf-8")
        arguments = [str(WORKER), str(export), str(requests), folder]
        done = fork_server.run(arguments, fork_server.TENSORFLOW)
        listed = Path(folder, "operations.json")
        operations = json.loads(listed.read_text(encoding="utf-8")) if listed.is_file() else []
        found: list[Answers] | None = None
        if not done.returncode:
            found = [{} for _ in batches]
            with np.load(Path(folder, "answers.npz")) as stored:
                for key, values in stored.items():
                    number, name = key.split(" ", 1)
                    found[int(number)][name] = values
    return CleanProcessResult(frozenset(operations), found, done.stderr)


def batches_of(examples: Examples, task: TakesTexts) -> list[Columns]:
    """Return the texts of all examples in their order as batches of serving_default."""
    examples = task.served_texts(examples)
    names = task.inputs(examples.text_pairs is not None)
    read = zip(names, (examples.texts, examples.text_pairs or ()), strict=False)
    columns = {name: [text.encode() for text in texts] for name, texts in read}
    return [
        {name: texts[start : start + BATCH_SIZE] for name, texts in columns.items()}
        for start in range(0, len(examples), BATCH_SIZE)
    ]


def join(batches: Sequence[Answers]) -> Answers:
    """Concatenate the answers to batches.

    Rows that are padded to the longest of their batch are padded to the longest of all: with empty
    strings, False and -1.
    """
    return {name: _stack([batch[name] for batch in batches]) for name in batches[0]}


def as_answers(outputs: Mapping[str, Any]) -> Answers:
    """Return a task's outputs in the form of the subprocess's answers."""
    return {name: decode_strings(np.asarray(values)) for name, values in outputs.items()}


def decode_strings(values: np.ndarray) -> np.ndarray:
    """Decode bytes, which may be invalid UTF-8, as str; numbers stay."""
    if values.dtype.kind != "O":
        return values
    texts = [
        text if isinstance(text, str) else text.decode("utf-8", "surrogateescape")
        for text in values.ravel()
    ]
    return np.array(texts, np.str_).reshape(values.shape)


def _stack(parts: Sequence[np.ndarray]) -> np.ndarray:
    widest = max(part.shape[1:2] for part in parts)
    filling: Any = {"U": "", "b": False}.get(parts[0].dtype.kind, -1)
    return np.concatenate(
        [
            np.pad(part, [(0, 0), (0, widest[0] - part.shape[1])], constant_values=filling)
            if widest and part.shape[1:] != widest
            else part
            for part in parts
        ]
    )
