"""Display of names, texts, lists and durations in messages, tables and pictures."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Sequence
from typing import Any

# Characters that join their neighbours, as in many emoji: kept, unlike other controls.
JOINERS = "\u200c\u200d"
# First character of a region's flag, followed by tag characters.
BLACK_FLAG = "\U0001f3f4"


def list_few(items: Sequence[Any], most: int = 5, show: Callable[[Any], str] = repr) -> str:
    """Return the first `most` items, and the number of the others: `'a', 'b' and 3 more`."""
    more = f" and {len(items) - most:,} more" if len(items) > most else ""
    return ", ".join(map(show, items[:most])) + more


def count_of(count: int, noun: str, plural: str | None = None) -> str:
    """Return the number and the noun: `1 epoch`, `2 epochs`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {plural or noun + 's'}"


def format_duration(seconds: float) -> str:
    """Return hours, minutes and seconds: `1:02:03`, or `2:03` below an hour."""
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def display_width(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    return sum(1 + (unicodedata.east_asian_width(character) in "WF") for character in text)


def align_columns(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield the rows of a table as lines, with two spaces between columns."""
    widths = [max(map(display_width, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (c + " " * (w - display_width(c)) for c, w in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()


def shorten(text: str, most: int) -> str:
    """Return the text on one line without control characters, at most `most` characters.

    Cut text is replaced by an ellipsis; an emoji of several characters is never split.
    """
    kept: list[str] = []
    for c in text[: 4 * most]:
        if "\ud800" <= c <= "\udfff":
            kept.append("\ufffd")
        elif c in JOINERS:
            # Between two visible characters only, so that invisible ones do not accumulate.
            kept += [c] if kept and not kept[-1].isspace() and kept[-1] not in JOINERS else []
        elif _is_tag(c):
            kept += [c] if kept and (kept[-1] == BLACK_FLAG or _is_tag(kept[-1])) else []
        elif c.isspace() or unicodedata.category(c) not in ("Cc", "Cf"):
            kept.append(c)
    line = " ".join("".join(kept).split()).strip(JOINERS)
    if len(line) <= most:
        return line
    end = most - 1
    while end and (
        _continues_glyph(line[end]) or line[end - 1] in JOINERS or _splits_flag(line, end)
    ):
        end -= 1
    return line[:end].rstrip() + "…"


def _is_tag(character: str) -> bool:
    """Return whether a character is one of those that encode a region in a flag."""
    return "\U000e0020" <= character <= "\U000e007f"


def _continues_glyph(character: str) -> bool:
    """Return whether it belongs to the glyph before it: accent, skin tone, variant, joiner."""
    tone = "\U0001f3fb" <= character <= "\U0001f3ff"
    return tone or character in JOINERS or _is_tag(character) or _is_accent(character)


def _is_accent(character: str) -> bool:
    return unicodedata.category(character) in ("Mn", "Me")


def _splits_flag(line: str, place: int) -> bool:
    """Return whether a position is inside a flag, which is a pair of regional letters."""
    letters = 0
    while letters < place and "\U0001f1e6" <= line[place - letters - 1] <= "\U0001f1ff":
        letters += 1
    return letters % 2 == 1 and "\U0001f1e6" <= line[place] <= "\U0001f1ff"
