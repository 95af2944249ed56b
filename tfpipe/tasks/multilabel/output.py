"""Columns of a file of answers: label sets."""

from __future__ import annotations

import numpy as np

from tfpipe.tasks.output_schema import TEXTS, Answers, Names, Outputs, OutputSchema


def write_label_sets(found: Outputs, names: Names) -> Answers:
    """Return labels joined by bars as in predictions.tsv, and the least sure probability."""
    scores, active = found["scores"], found["active"]
    # Without names there are the numbers of the columns.
    shown = list(map(str, range(scores.shape[1]))) if names is None else names
    joined = ["|".join(shown[column] for column in np.flatnonzero(row).tolist()) for row in active]
    certainty = np.where(active, scores, np.float32(1.0) - scores)
    return {
        "label": np.array(joined, object),
        "score": certainty.min(axis=1, initial=1.0),
        "scores": scores,
    }


SCHEMA = OutputSchema(
    TEXTS, ("scores", "active"), ("label", "score"), write_label_sets, scores_of="label"
)
