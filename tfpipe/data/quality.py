"""Data quality checks before training: errors that stop it, and warnings."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from tfpipe.data.arrays import IntArray
from tfpipe.data.dev_split import example_keys
from tfpipe.data.examples import Examples
from tfpipe.data.labels import LabelRules, OneLabel, parsed_labels
from tfpipe.data.near_labels import LabelNotes
from tfpipe.data.row_errors import RowsError, RowsOf, in_several
from tfpipe.data.unknown_tokens import UnknownTokens
from tfpipe.errors import UserError

# Pairs of a name and what was found.
Facts: TypeAlias = list[tuple[str, str]]

LONGEST_INPUT = 512
# The tokenizer reads a word of over 100 characters as one unknown token. Ten times that is no
# word but a blob or a lost separator. Chinese characters are words of their own, and so is "_".
LONG_WORD = re.compile(
    r"[^\W_\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0002ceaf\U0002f800-\U0002fa1f]"
    r"{1000,}"
)


@dataclass(frozen=True)
class DataReport:
    """What the data check found.

    Attributes:
        facts: (name, value).
        labels: (name, rows in train, rows in dev).
        warnings: Sentences without a full stop.
        unknown: The tokens that the vocabulary lacks, None where they were not counted.
        label_notes: From reading the files; `report_data` leaves them empty.
        decisions: How the files were read, from reading them, too.
    """

    facts: Sequence[tuple[str, str]]
    labels: Sequence[tuple[str, int, int]]
    warnings: Sequence[str]
    unknown: UnknownTokens | None = None
    label_notes: LabelNotes = field(default_factory=LabelNotes)
    decisions: Sequence[str] = ()


def long_words(examples: Examples) -> list[UserError]:
    """Return an error for the texts of each column with a "word" that cannot be one."""
    errors: list[UserError] = []
    for column in (examples.texts, examples.text_pairs or ()):
        words = {
            row: word.group()
            for row, text in enumerate(column)
            if len(text) >= 1000 and (word := LONG_WORD.search(text))
        }
        if words:
            details = [f"{len(word):,} characters without a space" for word in words.values()]
            several = in_several(len(words), len(examples))
            errors.append(
                RowsError(
                    "long_word",
                    f"a text holds a word that is far too long to be one{several}",
                    examples.path,
                    "mend or remove the row; the model would read it as one unknown word",
                    RowsOf(examples, [*words], details),
                )
            )
    return errors


def report_data(
    train: Examples,
    dev: Examples,
    train_lengths: IntArray,
    max_length: int,
    rules: type[LabelRules] = OneLabel,
    in_windows: bool = False,
) -> DataReport:
    """Check train and dev.

    Args:
        train: The examples to train on.
        dev: The examples to choose the best epoch on.
        train_lengths: int [N], tokens of each train input with specials, before truncation.
        max_length: Tokens of an input, specials included.
        rules: The label rules of the task.
        in_windows: Whether longer inputs are read in several windows and not truncated.
    """
    facts: Facts = []
    warnings: list[str] = []
    _report_sizes(train, dev, facts, warnings)
    _report_repeats(train, facts, warnings)
    report_leaks(train, dev, "dev", facts, warnings)
    _report_lengths(train_lengths, max_length, in_windows, facts, warnings)
    labels = _report_labels(train, dev, rules, facts, warnings)
    return DataReport(facts, labels, warnings)


def _report_sizes(train: Examples, dev: Examples, facts: Facts, warnings: list[str]) -> None:
    named = [name for name in train.columns.names.values() if name is not None]
    facts.append(("train", f"{len(train):,} rows of {train.path}, columns {', '.join(named)}"))
    facts.append(("dev", f"{len(dev):,} rows of {dev.path}"))
    for name, part in (("train", train), ("dev", dev)):
        empty = sum(not text.strip() for text in part.texts)
        empty += sum(not text.strip() for text in part.text_pairs or ())
        if empty:
            warnings.append(f"{empty:,} texts of {name} are empty")


def _report_lengths(
    train_lengths: IntArray,
    max_length: int,
    in_windows: bool,
    facts: Facts,
    warnings: list[str],
) -> None:
    points = (50, 90, 95, 99, 100)
    values = np.percentile(train_lengths, points, method="higher").astype(int)
    percentiles = ", ".join(f"{p} %: {v:,}" for p, v in zip(points, values, strict=True))
    facts.append(("tokens a text", percentiles))
    truncated = float((train_lengths > max_length).mean())
    proposed = min(LONGEST_INPUT, max(8, -(-int(values[3]) // 8) * 8))
    what = "read in several windows" if in_windows else "truncated"
    facts.append((what, f"{truncated:.1%} of train at --max-length {max_length}"))
    facts.append(("proposed --max-length", f"{proposed} (holds 99 % of the texts)"))
    if truncated > 0.01 and proposed > max_length and not in_windows:
        warnings.append(
            f"{truncated:.1%} of the train texts are longer than {max_length} tokens and are"
            f" truncated; --max-length {proposed} reads more of them and takes longer"
        )


def _report_labels(
    train: Examples,
    dev: Examples,
    rules: type[LabelRules],
    facts: Facts,
    warnings: list[str],
) -> list[tuple[str, int, int]]:
    """Return each label with its rows in train and dev, the most frequent first."""
    train_counts, dev_counts = (_count_names(part, rules) for part in (train, dev))
    ordered = sorted(train_counts, key=lambda label: (-train_counts[label], label))
    labels = [(label, train_counts[label], dev_counts[label]) for label in ordered]
    most, fewest = labels[:5], labels[5:][-5:]
    if labels:
        facts.append(("labels", f"{len(labels)}; most rows in train: {_counted(most)}"))
    nameless = [
        sum(not rules.names_in(label) for label in parsed_labels(part, rules))
        for part in (train, dev)
    ]
    if labels and any(nameless):
        shown = f"{nameless[0]:,} of train, {nameless[1]:,} of dev"
        facts.append(("rows without any label", shown))
    if fewest:
        facts.append(("fewest rows in train", _counted(fewest)))
    unseen = [label for label, _, in_dev in labels if not in_dev]
    if unseen:
        warnings.append(f"dev has no example of {_shown(unseen)}")
    return labels


def _count_names(part: Examples, rules: type[LabelRules]) -> Counter[str]:
    counts: Counter[str] = Counter()
    # Millions of rows share a few labels.
    for label, count in Counter(parsed_labels(part, rules)).items():
        counts.update(dict.fromkeys(rules.names_in(label), count))
    return counts


def _report_repeats(train: Examples, facts: Facts, warnings: list[str]) -> None:
    label_of: dict[str, str] = {}
    contradictions: dict[str, set[str]] = {}
    assert train.labels is not None
    texts = train.joined()
    for text, label in zip(texts, train.labels, strict=True):
        first_label = label_of.setdefault(text, label)
        if label != first_label:
            contradictions.setdefault(text, {first_label}).add(label)
    duplicates = len(texts) - len(label_of)
    facts.append(("duplicates in train", f"{duplicates:,}"))
    facts.append(("contradictions in train", f"{len(contradictions):,}"))
    if contradictions:
        first = next(iter(contradictions))
        warnings.append(
            f"{len(contradictions):,} train texts have more than one label, such as"
            f" {first[:60]!r}: {_shown(sorted(contradictions[first]))}"
        )


def report_leaks(
    train: Examples, part: Examples, name: str, facts: Facts, warnings: list[str]
) -> None:
    """Report the texts of dev or test, as `name` says, that are in train, too."""
    same = _found(part.joined(), train.joined())
    alike = _found(list(example_keys(part)), example_keys(train))
    facts.append((f"{name} texts also in train", f"{same:,} exactly, {alike:,} after normalising"))
    if alike:
        warnings.append(
            f"{alike:,} {name} texts are in train too ({same:,} exactly): the {name} figures"
            " flatter"
        )


def _found(texts: Sequence[str], others: Iterable[str]) -> int:
    """Count the texts that are among the others, of which there may be millions."""
    wanted = set(texts)
    found = {text for text in others if text in wanted}
    return sum(text in found for text in texts)


def _counted(labels: Sequence[tuple[str, int, int]]) -> str:
    return ", ".join(f"{label} {count:,}" for label, count, _ in labels)


def _shown(names: Sequence[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(map(repr, names[:5])) + more
