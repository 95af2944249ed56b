"""Texts with different answers of two models, and changes of the metrics of labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np

from tfpipe.errors import UserError
from tfpipe.io.atomic import write_text
from tfpipe.tasks.paired import Pair

FIXED, BROKEN, BOTH_RIGHT = "wrong to right", "right to wrong", "both right"
NEARER, FURTHER, OTHER = "wrong, but nearer", "wrong, and further off", "wrong otherwise"
KINDS = (FIXED, BROKEN, NEARER, FURTHER, OTHER, BOTH_RIGHT)
SPACES = str.maketrans("\t\n\r", "   ")


@dataclass(frozen=True)
class Change:
    """A text with different answers of A and B.

    Attributes:
        kind: One of KINDS.
        row: Number in the data file, from 1.
        text: The text.
        gold: Gold answer.
        a: Answer of A.
        b: Answer of B.
        score_a: Score of A's answer.
        score_b: Score of B's answer.
        quality_a: Quality of A's answer, as Comparison.quality names it.
        quality_b: Quality of B's answer.
    """

    kind: str
    row: int
    text: str
    gold: str
    a: str
    b: str
    score_a: float
    score_b: float
    quality_a: float
    quality_b: float


@dataclass(frozen=True)
class LabelChange:
    """Recall and F1 of a label in A and B.

    Attributes:
        label: Its name.
        support: Texts, or entities, with this gold label.
        recall_a: In A.
        recall_b: In B.
        f1_a: In A.
        f1_b: In B.
    """

    label: str
    support: int
    recall_a: float
    recall_b: float
    f1_a: float
    f1_b: float


def find_changes(texts: Sequence[str], pair: Pair) -> list[Change]:
    """Return the texts with different answers, those whose quality changes most first."""
    a, b = pair.a, pair.b
    differing = np.flatnonzero(
        [one != other for one, other in zip(a.answers, b.answers, strict=True)]
    )
    moved = np.abs(b.quality - a.quality)[differing]
    return [
        Change(
            _kind(pair, row),
            row + 1,
            texts[row],
            pair.gold[row],
            a.answers[row],
            b.answers[row],
            *(float(of[row]) for of in (a.score, b.score, a.quality, b.quality)),
        )
        for row in differing[np.argsort(-moved, kind="stable")].tolist()
    ]


def _kind(pair: Pair, row: int) -> str:
    a, b = pair.a, pair.b
    if a.right[row] or b.right[row]:
        return BOTH_RIGHT if a.right[row] == b.right[row] else FIXED if b.right[row] else BROKEN
    if not pair.graded or a.quality[row] == b.quality[row]:
        return OTHER
    return NEARER if b.quality[row] > a.quality[row] else FURTHER


def count_kinds(changes: Sequence[Change]) -> dict[str, int]:
    """Return the number of changes by kind, of the kinds that occur."""
    counts = Counter(change.kind for change in changes)
    return {kind: counts[kind] for kind in KINDS if counts[kind]}


def label_changes(pair: Pair) -> list[LabelChange]:
    """Return the gold labels that both models have, those whose F1 changes most first."""
    other = {row["label"]: row for row in pair.b.by_label}
    both = [
        (row, other[row["label"]])
        for row in pair.a.by_label
        if row["support"] and row["label"] in other
    ]
    found = [
        LabelChange(
            *(a["label"], int(a["support"])),
            *(float(a["recall"]), float(b["recall"])),
            *(float(a["f1"]), float(b["f1"])),
        )
        for a, b in both
    ]
    return sorted(found, key=lambda one: -abs(one.f1_b - one.f1_a))


def write_changes(path: Path, changes: Sequence[Change]) -> None:
    """Write all changes as TSV, tabs and line breaks as spaces; raises UserError."""
    lines = ["\t".join(field.name for field in fields(Change))]
    for change in changes:
        values = (f"{v:.6f}" if isinstance(v, float) else str(v) for v in astuple(change))
        lines.append("\t".join(value.translate(SPACES) for value in values))
    try:
        write_text(path, "\n".join(lines) + "\n")
    except OSError as error:
        raise UserError(
            "the changed texts cannot be written", f"{path}: {error.strerror}", "correct --out"
        ) from None
