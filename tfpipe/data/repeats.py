"""Rows whose texts other rows have, too."""

from __future__ import annotations

from tfpipe.data.examples import Examples


def find_repeats(examples: Examples) -> tuple[list[int], list[int]]:
    """Return the rows whose text and label an earlier row has, and those of texts with two labels.

    All rows of a text with several labels are of the second kind, and of that alone.
    """
    labels_of: dict[str, set[str]] = {}
    labels = examples.labels or [""] * len(examples)
    for text, label in zip(examples.joined(), labels, strict=True):
        labels_of.setdefault(text, set()).add(label)
    duplicates, contradictions = [], []
    seen: set[str] = set()
    for row, text in enumerate(examples.joined()):
        if len(labels_of[text]) > 1:
            contradictions.append(row)
        elif text in seen:
            duplicates.append(row)
        seen.add(text)
    return duplicates, contradictions
