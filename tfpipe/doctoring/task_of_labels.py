"""The task that a data file's labels are for, as far as they tell."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path

from tfpipe.data.conll import tells_tags
from tfpipe.data.read import Examples, task_of_format
from tfpipe.data.spans import parse_spans, strip_types
from tfpipe.data.squad import load_answers, tells_answers
from tfpipe.doctoring.findings import Finding, note
from tfpipe.errors import UserError

TELLS: dict[str, Callable[[Path], bool]] = {"tag": tells_tags, "qa": tells_answers}


def is_labelled(path: Path, examples: Examples) -> bool:
    """Whether there is something to learn from; examples: the file's, as read without labels."""
    task = task_of_format(path)
    return examples.labels is not None if task is None else TELLS[task](path)


def find_task(path: Path, examples: Examples) -> tuple[str, list[Finding]]:
    """The task, and a note where a file with a label column does not look like `classify`.

    examples: with their labels, but of a format that is one task's alone.
    """
    task = task_of_format(path)
    if task is not None:
        return task, []
    labels = {label for label in examples.labels or () if label.strip()}
    shown = repr(min(labels, default=""))
    shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
    if not labels:
        return "classify", []
    if examples.text_pairs is not None and _are_answers(labels):
        told = f"The labels look like answers in JSON, such as {shown}: --task qa."
        return "qa", [note("task", told, "qa")]
    if examples.text_pairs is None and _are_spans(labels):
        told = f"The labels look like entities in JSON, such as {shown}: --task tag."
        return "tag", [note("task", told, "tag")]
    numbers = [*_numbers(labels)]
    if len(numbers) == len(labels):
        if all(number.is_integer() for number in numbers):
            told = "The labels are whole numbers: add --task regress where they are amounts, not"
            return "classify", [note("task", f"{told} names of classes.", "regress")]
        told = f"The labels look like numbers, such as {shown}: --task regress."
        return "regress", [note("task", told, "regress")]
    joined = sorted(label for label in labels if "|" in label)
    if joined:
        several = (
            f"{len(joined):,} different labels hold `|`" if joined[1:] else "A label holds `|`"
        )
        told = f"{several}, such as {joined[0][:60]!r}: --task multilabel reads it as several."
        return "multilabel", [note("task", told, "multilabel")]
    return "classify", []


def _numbers(labels: set[str]) -> Iterator[float]:
    for label in labels:
        try:
            number = float(label)
        except ValueError:
            continue
        if math.isfinite(number):
            yield number


def _are_spans(labels: set[str]) -> bool:
    try:
        return all(
            label.startswith("[") and parse_spans(strip_types(label)) is not None
            for label in labels
        )
    except UserError:
        return False


def _are_answers(labels: set[str]) -> bool:
    try:
        return all(label.startswith("[") and load_answers(label) is not None for label in labels)
    except (ValueError, RecursionError):
        return False
