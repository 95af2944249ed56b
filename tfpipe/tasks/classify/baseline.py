"""The metrics of an answer that reads no text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tfpipe.tasks.classify.evaluation import ClassificationEvaluation
from tfpipe.tasks.sections import Baseline


def majority_baseline(labels: Sequence[str], metric: str) -> Baseline | None:
    """A metric of always answering the most frequent label.

    Args:
        labels: One label an example.
        metric: Name of the metric.

    Returns:
        None for a metric that such an answer does not have: the loss.
    """
    names = sorted(set(labels))
    gold = np.array([names.index(label) for label in labels])
    nothing = np.zeros((len(labels), len(names)), np.float32)
    evaluation = ClassificationEvaluation(labels, names, gold, nothing, float("nan"))
    always = nothing.copy()
    always[:, evaluation.majority] = 1
    if metric == "loss":
        return None
    value = replace(evaluation, scores=always).metrics[metric]
    return Baseline(names[evaluation.majority], metric, float(value))
