"""Inputs and outputs of the served models of each task, and their form in a file of answers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

# The columns to write by name, each [B], and `scores` float32 [B, K], or of B lists.
Answers: TypeAlias = "dict[str, np.ndarray]"
Outputs: TypeAlias = "Mapping[str, np.ndarray]"
Names: TypeAlias = "Sequence[str] | None"
# The inputs of tasks that read a text, or a pair of texts.
TEXTS = (("text",), ("text", "text_pair"))


@dataclass(frozen=True)
class OutputSchema:
    """Inputs and outputs of serving_default, and the columns of a file of answers.

    Attributes:
        inputs: What the models may read, names of columns of text.
        outputs: Of serving_default, those that identify the task.
        columns: Of the file, each an entry of what `write` returns.
        write: From the outputs and the label names to the columns.
        scores_of: What has a score each beside those columns: a `label` of the model, an `entity`
            of the row, or nothing.
    """

    inputs: Sequence[Sequence[str]]
    outputs: Sequence[str]
    columns: Sequence[str]
    write: Callable[[Outputs, Names], Answers]
    scores_of: str | None = None

    def order(self, inputs: Collection[str]) -> Sequence[str]:
        """Order a model's inputs as a row's texts; raises KeyError for another task's."""
        return {frozenset(names): names for names in self.inputs}[frozenset(inputs)]

    def fits(self, inputs: Collection[str], outputs: Collection[str]) -> bool:
        """Return whether a model with these inputs and outputs answers so."""
        return {*self.outputs} <= {*outputs} and {*inputs} in map(set, self.inputs)


def decode_texts(texts: Iterable[str | bytes]) -> np.ndarray:
    """Convert to an array of strings as objects; bytes are decoded, invalid ones replaced."""
    decoded = [t.decode("utf-8", "replace") if isinstance(t, bytes) else t for t in texts]
    return np.array(decoded, object)
