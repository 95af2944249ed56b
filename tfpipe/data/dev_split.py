"""A seeded, stratified split into train and dev that keeps equal texts in one of them."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from tfpipe.data.arrays import Int64Array
from tfpipe.data.examples import Examples
from tfpipe.data.labels import LabelRules, OneLabel, parsed_labels
from tfpipe.errors import UserError
from tfpipe.text_display import list_few


class _Words(dict[int, str]):
    """For str.translate: letters, marks, digits and pictures as they are, all else a space."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        category = unicodedata.category(character)
        # Marks are the vowels of Hindi or Thai; an emoji may be all that two texts differ in.
        self[code] = character if category[0] in "LMN" or category == "So" else " "
        return self[code]


_WORDS = _Words()
# The same for bytes of ASCII, case folded, which takes a tenth of the time.
_ASCII_WORDS = "".join(chr(code).casefold() for code in range(128)).translate(_WORDS).encode()
_ASCII_WORDS += bytes(128)


def normalize(text: str) -> str:
    """Apply NFKC and case folding, and turn every run of punctuation and signs into a space."""
    if text.isascii():
        return " ".join(text.encode().translate(_ASCII_WORDS).decode().split())
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(folded.translate(_WORDS).split())


def example_keys(examples: Examples) -> Iterator[str]:
    """Yield one string an example; equal for examples whose texts are equal after normalising."""
    if examples.text_pairs is None:
        # A text of punctuation alone is compared as it is, not joined with all such texts.
        return (normalize(text) or text for text in examples.texts)
    return (
        f"{normalize(a) or a}\t{normalize(b) or b}"
        for a, b in zip(examples.texts, examples.text_pairs, strict=True)
    )


def split_off_dev(
    examples: Examples,
    share: float,
    seed: int,
    rules: type[LabelRules] = OneLabel,
    keep_lone: bool = False,
) -> tuple[Examples, Examples]:
    """Split labelled examples into train and dev, each in file order.

    Rows whose texts are equal after normalising stay together. Rows without a label name are split
    as if they shared one.

    Args:
        examples: Labelled examples.
        share: Of every label's rows that go to dev, at least one; every label keeps rows in train.
        seed: Of the random choice.
        rules: The label rules of the task.
        keep_lone: Whether labels with one text stay in train; else they are refused.

    Returns:
        Train and dev.

    Raises:
        UserError: A label has too few different texts to be in both; one that comes with others
            stays in train.
    """
    labels = names_of_rows(examples, rules)
    # Rows of equal texts are a group. Arrays, not a list for each: there may be millions.
    group_of = group_rows(examples)
    groups = int(group_of.max()) + 1
    by_group = np.argsort(group_of, kind="stable")
    begins = np.searchsorted(group_of[by_group], np.arange(groups + 1))

    def labels_in(group: int) -> Counter[str]:
        """Count a group's rows by label: equal texts may have several labels."""
        rows = by_group[begins[group] : begins[group + 1]]
        return Counter(name for row in rows for name in labels[row])

    groups_of = _groups_of_labels(labels, group_of)
    if not keep_lone and all(len(names) == 1 and names[0] for names in set(labels)):
        _refuse_lone_texts(groups_of, examples)

    rows_in_file = Counter(name for names in labels for name in names)
    wanted = {label: max(1, round(share * rows)) for label, rows in rows_in_file.items()}
    chosen = _choose_groups(groups_of, labels_in, wanted, seed)
    if not chosen:
        raise UserError(
            "there are too few different texts for a dev cut",
            f"{groups} in {examples.path}",
            "add examples, or give a dev file with --dev",
        )
    in_dev = np.isin(group_of, list(chosen))
    train, dev = (np.flatnonzero(rows).tolist() for rows in (~in_dev, in_dev))
    return examples.take(train), examples.take(dev)


def find_lone(examples: Examples, rules: type[LabelRules]) -> list[str]:
    """Return the label names that have one text, after normalising, in sorted order."""
    groups_of = _groups_of_labels(names_of_rows(examples, rules), group_rows(examples))
    return [name for name, groups in groups_of.items() if name and len(groups) == 1]


def names_of_rows(examples: Examples, rules: type[LabelRules]) -> list[tuple[str, ...]]:
    """The label names of each row; the empty string where it has none."""
    parsed = parsed_labels(examples, rules)
    names_of = {label: tuple(rules.names_in(label)) or ("",) for label in set(parsed)}
    return [names_of[label] for label in parsed]


def group_rows(examples: Examples) -> Int64Array:
    """int64 [N]: the number of each row's group of equal texts."""
    numbers: dict[str, int] = {}
    keys = example_keys(examples)
    return np.fromiter((numbers.setdefault(key, len(numbers)) for key in keys), np.int64)


def _groups_of_labels(
    labels: Sequence[Sequence[str]], group_of: Int64Array
) -> dict[str, Int64Array]:
    """Return int64: the groups, ascending, in which each label occurs."""
    names = sorted({name for row in labels for name in row})
    column = {name: i for i, name in enumerate(names)}
    columns = np.fromiter((column[name] for row in labels for name in row), np.int64)
    groups = int(group_of.max()) + 1
    counts = np.fromiter(map(len, labels), np.int64, len(labels))
    pairs = np.unique(columns * groups + np.repeat(group_of, counts))
    cuts = np.searchsorted(pairs, groups * np.arange(1, len(names)))
    return dict(zip(names, np.split(pairs % groups, cuts), strict=True))


def _refuse_lone_texts(groups_of: Mapping[str, Int64Array], examples: Examples) -> None:
    lone = sorted(label for label, members in groups_of.items() if len(members) < 2)
    if lone:
        raise UserError(
            "a label has too few different texts for a dev cut",
            f"one, of {list_few(lone)} in {examples.path}",
            "add examples of it, remove it, or give a dev file with --dev; --rare-labels drop"
            " leaves it out, --rare-labels keep learns it unchecked",
        )


def _choose_groups(
    groups_of: Mapping[str, Int64Array],
    labels_in: Callable[[int], Counter[str]],
    wanted: Mapping[str, int],
    seed: int,
) -> set[int]:
    """Choose the groups of dev: `wanted` rows of each label, and never a label's last group."""
    random, rows_in_dev = np.random.default_rng(seed), Counter[str]()
    groups_left = {label: len(members) for label, members in groups_of.items()}
    chosen: set[int] = set()
    # The rarest first: it has the least choice.
    for label in sorted(groups_of, key=lambda label: (len(groups_of[label]), label)):
        for group in map(int, random.permutation(groups_of[label])):
            if rows_in_dev[label] >= wanted[label]:
                break
            inside = labels_in(group)
            if group in chosen or any(groups_left[other] == 1 for other in inside):
                continue
            chosen.add(group)
            rows_in_dev.update(inside)
            for other in inside:
                groups_left[other] -= 1
    return chosen
