"""fastText's lines: labels after `__label__`, then the text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import takewhile

from tfpipe.data.formats.header import Table

PREFIX = "__label__"
# As the task multilabel writes several labels of a text.
BETWEEN_LABELS = "|"


def is_fasttext(first: str) -> bool:
    """Return whether a file's first line begins with a label, and a text follows."""
    words = first.split(maxsplit=1)
    return len(words) == 2 and words[0].startswith(PREFIX) and not set(words[0]) & set(",;|")


def read_fasttext(name: str, lines: Iterable[str]) -> Table:
    """Read lines as rows of text and label; several labels are joined by `|`.

    Args:
        name: The file's name, for the sentence about it.
        lines: Its lines.
    """

    def rows() -> Iterator[tuple[int, list[str]]]:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            labels = list(takewhile(lambda word: word.startswith(PREFIX), line.split()))
            text = line.split(maxsplit=len(labels))[len(labels) :]
            names = BETWEEN_LABELS.join(label.removeprefix(PREFIX) for label in labels)
            yield number, ["".join(text).rstrip("\r\n"), names]

    decision = f"read {name} as fastText's lines: a label follows {PREFIX}, then the text"
    return Table(["text", "label"], rows(), [decision])
