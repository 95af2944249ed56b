"""Columns of a file of answers: answers to questions."""

from __future__ import annotations

from tfpipe.tasks.output_schema import Answers, Names, Outputs, OutputSchema, decode_texts


def write_answers(found: Outputs, _: Names) -> Answers:
    """Return the answer, its place in the context and its score."""
    return {**found, "answer": decode_texts(found["answer"].tolist())}


SCHEMA = OutputSchema(
    (("question", "context"),),
    ("answer", "start", "end", "score"),
    ("answer", "start", "end", "score"),
    write_answers,
)
