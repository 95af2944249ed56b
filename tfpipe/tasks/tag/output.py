"""Columns of a file of answers: entities."""

from __future__ import annotations

import numpy as np

from tfpipe.data.spans import Span, format_spans
from tfpipe.tasks.output_schema import TEXTS, Answers, Names, Outputs, OutputSchema, decode_texts


def write_entities(found: Outputs, _: Names) -> Answers:
    """Return entities as the label of a data file, and the lowest score, as in predictions.tsv."""
    columns = [found[name].tolist() for name in ("start", "end", "entity", "score")]
    labels: list[str] = []
    scores: list[list[float]] = []
    for row in zip(*columns, strict=True):
        # Rows are filled up to the one with the most entities.
        used = [place for place in zip(*row, strict=True) if place[2]]
        kinds = decode_texts(kind for _, _, kind, _ in used)
        spans = zip(used, kinds, strict=True)
        labels.append(format_spans(Span(start, end, kind) for (start, end, *_), kind in spans))
        scores.append([score for *_, score in used])
    least = [min(of_row, default=1.0) for of_row in scores]
    return {
        "label": np.array(labels, object),
        "score": np.array(least, np.float32),
        "scores": np.fromiter(scores, object, len(scores)),
    }


SCHEMA = OutputSchema(
    TEXTS[:1],
    ("entity", "start", "end", "score"),
    ("label", "score"),
    write_entities,
    scores_of="entity",
)
