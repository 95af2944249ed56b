"""Texts without labels, from files of all formats and from plain text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfpipe.data.examples import Columns
from tfpipe.data.formats.fasttext import is_fasttext
from tfpipe.data.streaming import TextStream
from tfpipe.data.tabular import split_ending
from tfpipe.data.text_file import DataFile
from tfpipe.errors import UserError

ROWS = 4096
HELD_OUT_SHARE, MOST_HELD_OUT, FEWEST_TEXTS = 0.05, 1000, 20


@dataclass(frozen=True)
class UnlabelledTexts:
    """The distinct texts of the files, divided into two.

    Attributes:
        train: Those to train on, in the order of the files.
        held_out: Those to measure on.
        left_out: Rows that were left out, as they are empty or the same as an earlier one.
    """

    train: Sequence[str]
    held_out: Sequence[str]
    left_out: int


def read_unlabelled(files: Sequence[str], columns: Columns, seed: int) -> UnlabelledTexts:
    """Read texts and hold some of them out.

    Texts that come again are left out: they would be in both parts.

    Args:
        files: The files; of pairs both columns are texts.
        columns: Names given by the user.
        seed: Of the texts that are held out.

    Raises:
        UserError: A file cannot be read, or there are too few texts.
    """
    found: dict[str, None] = {}
    rows = 0
    for name in files:
        for text in _read(Path(name), columns):
            rows += 1
            if text.strip():
                found[text.strip()] = None
    if len(found) < FEWEST_TEXTS:
        raise UserError(
            "there are too few texts to train on",
            f"{len(found)} distinct texts in {rows} rows of {', '.join(files)}",
            f"give {FEWEST_TEXTS} or more",
        )
    count = min(MOST_HELD_OUT, max(1, round(HELD_OUT_SHARE * len(found))))
    held = {*np.random.default_rng(seed).permutation(len(found))[:count].tolist()}
    parts: tuple[list[str], list[str]] = ([], [])
    for place, text in enumerate(found):
        parts[place in held].append(text)
    return UnlabelledTexts(*parts, left_out=rows - len(found))


def _read(path: Path, columns: Columns) -> Iterator[str]:
    lines = _plain_lines(path)
    if lines is not None:
        yield from lines
        return
    for window in TextStream(path, columns, answer_empty=True).windows(ROWS):
        yield from window.texts
        yield from window.text_pairs or ()


def _plain_lines(path: Path) -> Iterator[str] | None:
    """Return the lines of a text file without columns; None for any other file."""
    ending, zipped = split_ending(path)
    if ending != ".txt":
        return None
    file = DataFile(path, zipped)
    if file.is_content:
        return None
    first = next((line for line in file.lines() if line.strip()), "")
    if "\t" in first or is_fasttext(first):
        return None
    return file.lines()
