"""Columns of a file of answers: numbers."""

from __future__ import annotations

from tfpipe.tasks.output_schema import TEXTS, Answers, Names, Outputs, OutputSchema


def write_values(found: Outputs, _: Names) -> Answers:
    """Return the value in the unit of the training labels."""
    return {"value": found["value"]}


SCHEMA = OutputSchema(TEXTS, ("value",), ("value",), write_values)
