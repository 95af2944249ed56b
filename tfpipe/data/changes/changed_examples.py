"""Examples whose texts are edited, with labels that fit them."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from tfpipe.data.changes.changes import Change
from tfpipe.data.changes.edits import Edits, apply
from tfpipe.data.examples import Examples
from tfpipe.data.labels import LabelRules, parsed_labels


def change_examples(
    examples: Examples,
    change: Change,
    share: float,
    rules: type[LabelRules],
    seed: str,
    least: int = 0,
) -> tuple[Examples, list[bool]]:
    """Change the texts of examples, in a way that depends on seed, row and text alone.

    A row stays as it is where a place in its label would be lost.

    Args:
        examples: The examples; those without labels are changed, too.
        change: The change.
        share: Of the places of a text that are edited.
        rules: The label rules of their task.
        seed: Of the edits.
        least: Number of places of a text that are edited at least.

    Returns:
        The changed examples, and whether each differs.
    """
    columns = [examples.texts, *([examples.text_pairs] if examples.text_pairs else [])]
    placed = rules.has_places and examples.labels is not None
    parsed = parsed_labels(examples, rules) if placed else ()
    texts, labels = [list(column) for column in columns], [*(examples.labels or ())]
    differ = [False] * len(examples)
    for row, before in enumerate(zip(*columns, strict=True)):
        random = Random(f"{seed}/{row}")
        edits: list[Edits] = [change.edits(text, share, random, least) for text in before]
        after = tuple(map(apply, before, edits))
        if after == before:
            continue
        label = rules.moved(parsed[row], after, edits) if placed else None
        if label is not None:
            labels[row] = label
        elif placed:
            continue
        differ[row] = True
        for column, text in zip(texts, after, strict=True):
            column[row] = text
    second = texts[1] if texts[1:] else examples.text_pairs
    changed = replace(examples, texts=texts[0], text_pairs=second)
    return (replace(changed, labels=labels, parsed=None) if placed else changed), differ
