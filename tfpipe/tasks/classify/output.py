"""Answers of a classifier as columns of a file."""

from __future__ import annotations

from tfpipe.tasks.output_schema import TEXTS, Answers, Names, Outputs, OutputSchema, decode_texts


def write_labels(found: Outputs, _: Names) -> Answers:
    """The label and its score."""
    return {**found, "label": decode_texts(found["label"].tolist())}


SCHEMA = OutputSchema(
    TEXTS, ("label", "score", "scores"), ("label", "score"), write_labels, scores_of="label"
)
