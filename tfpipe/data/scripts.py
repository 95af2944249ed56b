"""The script that a text is written in: that of most of its letters."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence

import numpy as np

from tfpipe.data.arrays import Int64Array, IntArray, UInt8Array, UInt32Array

# Of two scripts with equally many letters the first one is taken: a Latin product name in a
# Chinese message of the same length does not make it a Latin one.
NAMED = (
    *("han", "kana", "hangul", "cyrillic", "arabic", "devanagari", "thai", "greek", "hebrew"),
    *("bengali", "gurmukhi", "gujarati", "tamil", "telugu", "kannada", "malayalam", "sinhala"),
    *("lao", "tibetan", "myanmar", "khmer", "ethiopic", "mongolian", "armenian", "georgian"),
    "latin",
)
# `none` is that of texts without any letter, such as numbers and emoji.
SCRIPTS = (*NAMED, "other", "none")
# The first words of Unicode's names that are not the script's name.
ALIASES = {
    "cjk": "han",
    "ideographic": "han",
    "hiragana": "kana",
    "katakana": "kana",
}
WIDTHS = ("FULLWIDTH ", "HALFWIDTH ")
# Unicode has no letters from here on.
LIMIT = 0x40000
CHUNK = 4096
UNKNOWN = 255
# The script of each code point that a text has had, by its index.
_known = np.full(LIMIT + 1, UNKNOWN, np.uint8)


def scripts_of(*columns: Sequence[str]) -> Int64Array:
    """Return int64 [N]: the script of each row's letters in all columns, an index into SCRIPTS.

    Args:
        columns: One or more, of N texts each.
    """
    return np.concatenate([np.zeros(0, np.int64), *_count_chunks(columns)])


def share_beyond_english(*columns: Sequence[str]) -> float:
    """Return the share of letters that are not in a to z, of all letters in all columns."""
    counts = np.zeros(LIMIT + 1, np.int64)
    for column in columns:
        for start in range(0, len(column), CHUNK):
            points = np.minimum(code_points(column[start : start + CHUNK]), LIMIT)
            counts += np.bincount(points, minlength=LIMIT + 1)
    found = np.flatnonzero(counts)
    letters = found[[chr(point).isalpha() for point in found.tolist()]]
    total = int(counts[letters].sum())
    return int(counts[letters[letters >= 128]].sum()) / max(total, 1)


def _count_chunks(columns: Sequence[Sequence[str]]) -> Iterator[Int64Array]:
    none = len(SCRIPTS) - 1
    for start in range(0, len(columns[0]), CHUNK):
        chunk = [column[start : start + CHUNK] for column in columns]
        texts = ["".join(row) for row in zip(*chunk, strict=True)]
        counts = count_by_text(texts, look_up(code_points(texts)), len(SCRIPTS))
        letters = counts[:, :none]
        yield np.where(letters.any(axis=1), letters.argmax(axis=1), none)


def code_points(texts: Sequence[str]) -> UInt32Array:
    """Return uint32 [C]: the code points of all texts, end to end."""
    return np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), "<u4")


def text_numbers(texts: Sequence[str]) -> Int64Array:
    """Return int64 [C]: the number of its text for each character of all texts, end to end."""
    return np.repeat(np.arange(len(texts)), [len(text) for text in texts])


def count_by_text(texts: Sequence[str], values: IntArray, width: int) -> Int64Array:
    """Return int64 [texts, width]: how many characters of each text have each value.

    Args:
        texts: N texts.
        values: A number below `width` for each of their C characters, end to end.
        width: How many values there are.
    """
    cells = text_numbers(texts) * width + values
    return np.bincount(cells, minlength=len(texts) * width).reshape(-1, width)


def look_up(points: UInt32Array) -> UInt8Array:
    """Return uint8 [C]: the script of each code point, `none` where it is no letter."""
    points = np.minimum(points, LIMIT)
    found = _known[points]
    if (found == UNKNOWN).any():
        # Texts have few of all characters: a table of all would take longer than most files.
        for point in np.unique(points[found == UNKNOWN]).tolist():
            character = chr(point)
            letter = point < LIMIT and unicodedata.category(character).startswith("L")
            script = _script_of(unicodedata.name(character, "")) if letter else "none"
            _known[point] = SCRIPTS.index(script)
        found = _known[points]
    return found


def _script_of(name: str) -> str:
    """Return the script of a letter with this name in Unicode."""
    for width in WIDTHS:
        name = name.removeprefix(width)
    first = name.split(" ", 1)[0].split("-", 1)[0].lower()
    script = ALIASES.get(first, first)
    return script if script in NAMED else "other"
