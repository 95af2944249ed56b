"""Data section of the report: splits, balance, repeats, examples in two splits, lengths."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from tfpipe.data.dev_split import example_keys
from tfpipe.data.examples import Examples
from tfpipe.data.quality import LONGEST_INPUT
from tfpipe.report.sections import Data, Lengths, Overlap, Part, Twin

POINTS = (50, 90, 95, 99, 100)
MOST_TWINS = 20


def describe_data(
    parts: Mapping[str, Examples],
    label_counts: Sequence[tuple[str, int, int]],
    train_lengths: np.ndarray,
    max_length: int,
    right: Mapping[str, np.ndarray] | None = None,
    figure: str | None = None,
    in_windows: bool = False,
    show_label: Callable[[Examples, int], str] = lambda part, row: (part.labels or ())[row],
) -> Data:
    """Compute the data section.

    Args:
        parts: Examples of `train`, `dev` and perhaps `test`.
        label_counts: (label, rows in train, in dev).
        train_lengths: int [N], tokens with specials before truncation.
        max_length: Tokens of an input.
        right: float [N] by split: values of each example whose mean is the metric `figure`.
        figure: Name of that metric.
        in_windows: Whether inputs over the limit are read in several windows.
        show_label: Formats the label of a row of a split for people.
    """
    train = parts["train"]
    repeated, contradictions = _find_repeats(train)
    several = {text: labels for text, labels in contradictions.items() if len(labels) > 1}
    first = next(iter(several), None)
    return Data(
        parts=[
            Part(name, len(part), part.path, _count_empty(part)) for name, part in parts.items()
        ],
        columns=[name for name in train.columns.names.values() if name is not None],
        label_counts=sorted(label_counts, key=lambda row: -row[1]),
        repeated=repeated,
        contradictions=len(several),
        contradiction=None
        if first is None
        else (first, sorted({show_label(train, row) for row in several[first].values()})),
        lengths=describe_lengths(train_lengths, max_length, in_windows),
        overlaps=_find_overlaps(parts, right or {}, figure, show_label),
    )


def describe_lengths(lengths: np.ndarray, limit: int, in_windows: bool = False) -> Lengths:
    """Summarise lengths int [N] of train inputs; `limit` is the longest that is read whole."""
    values = np.percentile(lengths, POINTS, method="higher").astype(int).tolist()
    proposed = min(LONGEST_INPUT, max(8, -(-values[3] // 8) * 8))
    percentiles = list(zip(POINTS, values, strict=True))
    return Lengths(percentiles, limit, float((lengths > limit).mean()), proposed, in_windows)


def _count_empty(part: Examples) -> int:
    return sum(
        not text.strip() for column in (part.texts, part.text_pairs or ()) for text in column
    )


def _find_repeats(train: Examples) -> tuple[int, dict[str, dict[str, int]]]:
    """Find repeated texts.

    Returns:
        The number of rows whose text an earlier row has; and a row by label of each text with
        several labels.
    """
    first_rows: dict[str, int] = {}
    several: dict[str, dict[str, int]] = {}
    texts, labels = train.joined(), train.labels or ()
    for row, (text, label) in enumerate(zip(texts, labels, strict=True)):
        first = first_rows.setdefault(text, row)
        if label != labels[first]:
            several.setdefault(text, {labels[first]: first})[label] = row
    return len(texts) - len(first_rows), several


def _find_overlaps(
    parts: Mapping[str, Examples],
    right: Mapping[str, np.ndarray],
    figure: str | None,
    show_label: Callable[[Examples, int], str],
) -> list[Overlap]:
    overlaps = []
    keys = {name: list(example_keys(part)) for name, part in parts.items() if name != "train"}
    for name, other in (("dev", "train"), ("test", "train"), ("test", "dev")):
        if name in parts and other in parts:
            others = keys[other] if other in keys else example_keys(parts[other])
            wanted = set(keys[name])
            found: dict[str, int] = {}
            for row, key in enumerate(others):
                if key in wanted:
                    found.setdefault(key, row)
            overlaps.append(
                _describe_overlap(
                    (name, parts[name], keys[name]),
                    (other, parts[other]),
                    found,
                    right.get(name),
                    figure,
                    show_label,
                )
            )
    return overlaps


def _describe_overlap(
    one: tuple[str, Examples, Sequence[str]],
    other: tuple[str, Examples],
    found: Mapping[str, int],
    right: np.ndarray | None,
    figure: str | None,
    show_label: Callable[[Examples, int], str],
) -> Overlap:
    """Describe the overlap; found: the first row of the other split by the common key."""
    name, part, keys = one
    other_name, other_part = other
    alike = np.array([key in found for key in keys], bool)
    texts = part.joined()
    wanted = {texts[row] for row in np.flatnonzero(alike).tolist()}
    other_texts = other_part.joined()
    same = wanted.intersection(other_texts) if wanted else set()
    twins = []
    for row in np.flatnonzero(alike).tolist():
        twin = found[keys[row]]
        label = show_label(part, row) if part.labels else ""
        other_label = show_label(other_part, twin) if other_part.labels else ""
        twins.append(Twin(texts[row], label, other_label, texts[row] in same))
    differing = sum(twin.label != twin.other_label for twin in twins)
    twins.sort(key=lambda twin: (twin.label == twin.other_label, not twin.exact))
    without = None
    if right is not None and alike.any() and not alike.all():
        without = float(right[~alike].mean())
    exact = sum(twin.exact for twin in twins)
    return Overlap(
        *(name, other_name, exact, len(twins), differing, twins[:MOST_TWINS], figure, without)
    )
