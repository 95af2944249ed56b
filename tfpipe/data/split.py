"""A seeded, stratified dev cut that keeps equal texts on one side."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict

import numpy as np

from tfpipe.data.read import Examples
from tfpipe.errors import UserError

_NOT_WORD = re.compile(r"[\W_]+")


def normalize(text: str) -> str:
    """NFKC, case folded, every run of other than letters and digits one space."""
    return _NOT_WORD.sub(" ", unicodedata.normalize("NFKC", text).casefold()).strip()


def example_keys(examples: Examples) -> list[str]:
    """One string an example; equal for examples whose texts are equal after normalising."""
    if examples.text_pairs is None:
        # A text of punctuation alone is told apart by itself, not joined with all such texts.
        return [normalize(text) or text for text in examples.texts]
    return [
        f"{normalize(a) or a}\t{normalize(b) or b}"
        for a, b in zip(examples.texts, examples.text_pairs, strict=True)
    ]


def cut_dev(examples: Examples, share: float, seed: int) -> tuple[Examples, Examples]:
    """Train and dev part of labelled examples, each in file order.

    share: of every label's rows that go to dev, at least one. Rows whose texts are equal after
    normalising stay together, under the label that most of them have. Raises UserError when a
    label has too few different texts to be on both sides.
    """
    assert examples.labels is not None
    groups: dict[str, list[int]] = defaultdict(list)
    for row, key in enumerate(example_keys(examples)):
        groups[key].append(row)
    by_label: dict[str, list[list[int]]] = defaultdict(list)
    for rows in groups.values():
        counts = Counter(examples.labels[row] for row in rows)
        by_label[counts.most_common(1)[0][0]].append(rows)

    dev: list[int] = []
    random = np.random.default_rng(seed)
    for label in sorted(by_label):
        label_groups = by_label[label]
        if len(label_groups) < 2:
            raise UserError(
                f"label {label!r} has too few different texts for a dev cut",
                f"{len(label_groups)} in {examples.path}",
                "add examples of it, remove it, or give a dev file with --dev",
            )
        wanted = max(1, round(share * sum(len(rows) for rows in label_groups)))
        taken = 0
        for place in random.permutation(len(label_groups))[:-1]:
            if taken >= wanted:
                break
            dev.extend(label_groups[place])
            taken += len(label_groups[place])
    chosen = set(dev)
    train = [row for row in range(len(examples)) if row not in chosen]
    return examples.take(train), examples.take(sorted(chosen))
