"""Examples with labels, and datasets of them without tokens."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tfpipe.data.encoded import Encoded, EncodedDataset
from tfpipe.data.examples import Columns, Examples
from tfpipe.tasks.sequence import SequenceTask

TARGETS = {"classify": "label", "multilabel": "active", "regress": "value"}


def make_examples(
    texts: Sequence[str],
    labels: Sequence[str] | None,
    pairs: Sequence[str] | None = None,
    path: str = "train.csv",
) -> Examples:
    """Examples of a file with the columns text, text_pair where there are pairs, and label."""
    return Examples(
        texts, pairs, labels, path, Columns("text", "text_pair" if pairs else None, "label")
    )


def examples_of(*labels: str) -> Examples:
    """Examples with these labels; each text is another."""
    return make_examples([f"text {row}" for row in range(len(labels))], labels)


def labelled_of(task: SequenceTask, *labels: str) -> EncodedDataset:
    """A dataset with the targets of these labels and without tokens."""
    nothing, examples = np.zeros(0, np.int32), examples_of(*labels)
    return EncodedDataset(
        examples,
        Encoded(nothing, nothing, nothing, nothing, 0),
        {TARGETS[task.name]: task.gold(examples)},
    )
