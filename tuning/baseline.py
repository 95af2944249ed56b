"""What an answer reaches that no text was read for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tfpipe.report.sections import Baseline
from tfpipe.tasks.evaluation import Evaluation


def majority_baseline(labels: Sequence[str], figure: str) -> Baseline | None:
    """A figure of always answering the most frequent of one-label texts' labels.

    None for a figure that such an answer does not have: the loss.
    """
    names = sorted(set(labels))
    gold = np.array([names.index(label) for label in labels])
    nothing = np.zeros((len(labels), len(names)), np.float32)
    evaluation = Evaluation(labels, names, gold, nothing, float("nan"))
    always = nothing.copy()
    always[:, evaluation.majority] = 1
    if figure == "loss":
        return None
    value = replace(evaluation, scores=always).figures[figure]
    return Baseline(names[evaluation.majority], figure, float(value))
