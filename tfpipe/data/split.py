"""A seeded, stratified dev cut that keeps equal texts on one side."""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from tfpipe.data.read import Examples
from tfpipe.errors import UserError


class _Words(dict[int, str]):
    """For str.translate: letters, marks, digits and pictures as they are, all else a space."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        category = unicodedata.category(character)
        # Marks are the vowels of Hindi or Thai; an emoji may be all that two texts differ in.
        self[code] = character if category[0] in "LMN" or category == "So" else " "
        return self[code]


_WORDS = _Words()


def normalize(text: str) -> str:
    """NFKC, case folded, every run of punctuation and other signs one space."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(folded.translate(_WORDS).split())


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

    share: of every label's rows that go to dev, at least one; every label keeps rows in train.
    Rows whose texts are equal after normalising stay together. Raises UserError when a label has
    too few different texts to be on both sides.
    """
    assert examples.labels is not None
    groups: dict[str, list[int]] = defaultdict(list)
    for row, key in enumerate(example_keys(examples)):
        groups[key].append(row)
    rows_of = list(groups.values())
    # Equal texts may have several labels: such a group belongs to each of them.
    labels_of = [Counter(examples.labels[row] for row in rows) for rows in rows_of]
    groups_of: dict[str, list[int]] = defaultdict(list)
    for group, counts in enumerate(labels_of):
        for label in counts:
            groups_of[label].append(group)
    _refuse_lone_texts(groups_of, examples)

    random = np.random.default_rng(seed)
    rows_in_file, rows_in_dev = Counter(examples.labels), Counter[str]()
    groups_left = {label: len(members) for label, members in groups_of.items()}
    chosen: set[int] = set()
    # The rarest first: it has the least choice.
    for label in sorted(groups_of, key=lambda label: (len(groups_of[label]), label)):
        wanted = max(1, round(share * rows_in_file[label]))
        for group in map(int, random.permutation(groups_of[label])):
            if rows_in_dev[label] >= wanted:
                break
            if group in chosen or any(groups_left[other] == 1 for other in labels_of[group]):
                continue
            chosen.add(group)
            rows_in_dev.update(labels_of[group])
            for other in labels_of[group]:
                groups_left[other] -= 1
    dev = {row for group in chosen for row in rows_of[group]}
    train = [row for row in range(len(examples)) if row not in dev]
    return examples.take(train), examples.take(sorted(dev))


def _refuse_lone_texts(groups_of: Mapping[str, Sequence[int]], examples: Examples) -> None:
    lone = sorted(label for label, members in groups_of.items() if len(members) < 2)
    if lone:
        more = f" and {len(lone) - 5} more" if len(lone) > 5 else ""
        raise UserError(
            "a label has too few different texts for a dev cut",
            f"one, of {', '.join(map(repr, lone[:5]))}{more} in {examples.path}",
            "add examples of it, remove it, or give a dev file with --dev",
        )
