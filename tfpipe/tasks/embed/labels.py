"""Label rules of the task `embed`: pairs of similar texts, graded pairs, or texts with labels."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from itertools import chain
from typing import Any, ClassVar, TypeAlias

from tfpipe.config import TrainConfig
from tfpipe.data.examples import Examples
from tfpipe.data.label_values import one_choice
from tfpipe.data.labels import LabelRules, LabelSummary, parsed_labels
from tfpipe.data.tabular import strip_blanks
from tfpipe.data.token_counts import TokenCounts, count_tokens
from tfpipe.data.tokenizer.fast_tokenizer import FastTokenizer
from tfpipe.data.values import show_few
from tfpipe.errors import UserError

# What examples say about similar texts.
PAIRS, GRADED, LABELS = "pairs of texts", "graded pairs of texts", "texts with labels"
HIGHEST = 5.0
# A pair's similarity, a label whose texts are similar, or nothing: the two texts of the pair are.
Parsed: TypeAlias = "float | str | None"


class Similarity(LabelRules):
    """Rules for labels that say which texts are similar.

    Of pairs without a label the two texts are similar; where labels are numbers, they grade the
    pairs from 0 to 1 or to 5; others are names: pairs that share one are no negatives of each
    other. Single texts are similar where they share their label.
    """

    name: ClassVar[str] = "embed"
    needs_labels: ClassVar[bool] = False
    optional_label: ClassVar[bool] = True
    labels_from_data: ClassVar[bool] = False

    @classmethod
    def parse_labels(cls, examples: Examples) -> Sequence[Parsed]:
        """Parse the labels as similarities, or as names; raise UserError for others."""
        labels = examples.labels or [""] * len(examples)
        _refuse_empty(examples)
        if examples.text_pairs is None:
            _refuse_missing(examples, labels)
            return labels
        numbers = [_as_number(label) for label in labels]
        given = sum(map(bool, labels))
        # One that is misspelt does not make names of the others.
        if not given or 2 * sum(number is not None for number in numbers) <= given:
            return [label or None for label in labels]
        wrong = [row for row, n in enumerate(numbers, 1) if n is None or not 0 <= n <= HIGHEST]
        if wrong:
            raise UserError(
                "the similarity of a pair is not a number from 0 to 5",
                f"{examples.path}, rows {show_few(wrong)}: {labels[wrong[0] - 1]!r}",
                "write similarities from 0 to 1 or from 0 to 5, names of classes with letters, or"
                " leave out the label column",
            )
        return numbers

    @classmethod
    def check(cls, examples: Examples, to_learn: bool) -> None:
        """Refuse examples without two texts to compare."""
        kind, parsed = kind_of(examples), parsed_labels(examples, cls)
        if kind == LABELS and len(examples) > 1:
            _refuse_lone(examples, parsed)
        if not to_learn:
            return
        different = set(parsed) if kind != PAIRS else {*zip(*_columns(examples), strict=True)}
        if len(different) < 2:
            wrong = {
                PAIRS: "there is only one pair of texts, so it has no other to differ from",
                GRADED: "all pairs have the same similarity, so there is nothing to learn",
                LABELS: "there is only one label, so there is no text to differ from",
            }
            found = f"{len(examples)} rows of {examples.path}"
            raise UserError(wrong[kind], found, "add examples that differ")

    @classmethod
    def refuse_unlike(cls, part: Examples, train: Examples) -> None:
        """Raise UserError where another file says it in another way than train."""
        kinds = kind_of(part), kind_of(train)
        if kinds[0] != kinds[1]:
            raise UserError(
                "train and another file do not say alike what is similar",
                f"{train.path} has {kinds[1]}, {part.path} has {kinds[0]}",
                "give both files the same columns",
            )

    @classmethod
    def refuse_settings(cls, train: Examples, config: TrainConfig) -> None:
        """Raise UserError for batches of one example, and for a metric that data do not have."""
        if config.batch_size < 2:
            raise UserError(
                "a batch of one example has no other text to differ from",
                f"--batch-size {config.batch_size} with --task embed",
                "give a larger --batch-size, such as 64",
            )
        if config.best_by == "spearman" and kind_of(train) != GRADED:
            raise UserError(
                "only pairs with a similarity have the metric of --best-by",
                f"--best-by spearman; {train.path} has {kind_of(train)}",
                "leave out --best-by, or give a label column with similarities",
            )

    @classmethod
    def best_metric(cls, train: Examples) -> str | None:
        """Return `spearman` for graded pairs."""
        return "spearman" if kind_of(train) == GRADED else None

    @classmethod
    def strip_label(cls, label: str) -> str:
        """Remove blanks around the label."""
        return strip_blanks(label)

    @classmethod
    def write_label(cls, value: list[Any] | dict[str, Any], remarks: Counter[str]) -> str:
        """Return the one name or number in `["name"]` or `{"choices": ["name"]}`."""
        return one_choice(value)

    @classmethod
    def names_in(cls, label: Parsed) -> Sequence[str]:
        """Return the label where it is a name."""
        return (label,) if isinstance(label, str) else ()

    @classmethod
    def count_tokens(
        cls, examples: Examples, tokenizer: FastTokenizer, max_length: int
    ) -> TokenCounts:
        """Count the tokens of each example; the length of a pair is that of its longer text."""
        found, shape = count_tokens(apart(examples), tokenizer, max_length), (len(examples), -1)
        return TokenCounts(
            found.full_lengths.reshape(shape).max(axis=1),
            found.tokens.reshape(shape).sum(axis=1),
            found.unknown.reshape(shape).sum(axis=1),
            len(examples),
        )

    @classmethod
    def describe_labels(cls, parts: Sequence[Examples]) -> LabelSummary | None:
        """Tell what the examples say about similar texts; None for names that are counted."""
        kind = kind_of(parts[0])
        if kind == LABELS:
            return None
        sentence = f"Training can learn from it which texts are similar: {kind}."
        return LabelSummary("labels", sentence, kind)


def kind_of(examples: Examples) -> str:
    """Return what examples say about similar texts: PAIRS, GRADED or LABELS; raises UserError."""
    if examples.text_pairs is None:
        return LABELS
    graded = any(isinstance(label, float) for label in parsed_labels(examples, Similarity))
    return GRADED if graded else PAIRS


def apart(examples: Examples) -> Examples:
    """Return the texts of pairs as single texts, the two of a pair one after the other."""
    if examples.text_pairs is None:
        return examples
    texts = [*chain.from_iterable(zip(*_columns(examples), strict=True))]
    return Examples(texts, None, None, examples.path, examples.columns)


def distinct_texts(examples: Examples) -> list[str]:
    """Return each text once: those of single texts, or the first texts of pairs before the second.

    First and second texts, such as questions and answers, differ in length.
    """
    return [*dict.fromkeys(chain(examples.texts, examples.text_pairs or ()))]


def _columns(examples: Examples) -> tuple[Sequence[str], Sequence[str]]:
    assert examples.text_pairs is not None
    return examples.texts, examples.text_pairs


def _as_number(label: str) -> float | None:
    try:
        value = float(label)
    except ValueError:
        return None
    return value if math.isfinite(value) and "_" not in label else None


def _refuse_empty(examples: Examples) -> None:
    sides = zip(*_columns(examples), strict=True) if examples.text_pairs else zip(examples.texts)
    empty = [row for row, texts in enumerate(sides, 1) if not all(map(str.strip, texts))]
    if empty:
        raise UserError(
            "a text is empty, so it is similar to none",
            f"{examples.path}, rows {show_few(empty)}",
            "fill it in, or remove the row",
        )


def _refuse_missing(examples: Examples, labels: Sequence[str]) -> None:
    missing = [row for row, label in enumerate(labels, 1) if not label]
    if missing and examples.columns.label is None:
        raise UserError(
            "there are neither pairs of texts nor labels, so nothing says which texts are similar",
            f"{examples.path}, text column {examples.columns.text!r}",
            "name the second texts with --text-pair, or the labels with --label",
        )
    if missing:
        raise UserError(
            "a single text has no label, so nothing says which texts it is similar to",
            f"{examples.path}, rows {show_few(missing)}",
            "fill in the label, or remove the row",
        )


def _refuse_lone(examples: Examples, labels: Sequence[Parsed]) -> None:
    texts_of = Counter(label for label, _ in {*zip(labels, examples.texts, strict=True)})
    if max(texts_of.values()) < 2:
        raise UserError(
            "no two texts share a label, so no text has a similar one",
            f"{len(texts_of)} labels of {len(examples)} rows of {examples.path}",
            "add texts of the same labels, or give a larger dev",
        )
