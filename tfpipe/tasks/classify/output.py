"""Columns of a file of answers: labels."""

from __future__ import annotations

from tfpipe.tasks.output_schema import TEXTS, Answers, Names, Outputs, OutputSchema, decode_texts


def write_labels(found: Outputs, _: Names) -> Answers:
    """Return the label and its score."""
    return {**found, "label": decode_texts(found["label"].tolist())}


SCHEMA = OutputSchema(
    TEXTS, ("label", "score", "scores"), ("label", "score"), write_labels, scores_of="label"
)
