"""Replacement of words by synonyms of a thesaurus file."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random

from tfpipe.data.changes.changes import HAN, Change, Place
from tfpipe.data.changes.edits import Edit
from tfpipe.data.text_file import DataFile
from tfpipe.errors import UserError

# A code before the words of a line, such as `Aa01A01=` of Cilin.
CODE = re.compile(r"^\S+=\s+")
# A word of an alphabet, which is looked up as a whole, or a run of Chinese characters.
RUN = re.compile(rf"[{HAN}]+|[^\W_{HAN}]+")


def read_thesaurus(path: str) -> Mapping[str, Sequence[str]]:
    """Read the other words of the group of each word, in small letters.

    Args:
        path: A text file with a group of words that mean the same on each line, separated by tabs,
            commas or blanks; codes as `Aa01A01=` are passed over.

    Raises:
        UserError: The file cannot be read, or no line has two words.
    """
    found: dict[str, list[str]] = {}
    for line in DataFile(Path(path), path.endswith(".gz")).lines():
        words = [word for word in re.split(r"[\s,，]+", CODE.sub("", line.strip())) if word]
        for word in words:
            others = [other for other in words if other != word]
            found.setdefault(word.lower(), []).extend(others)
    table = {word: others for word, others in found.items() if others}
    if not table:
        raise UserError(
            "the thesaurus has no synonyms",
            path,
            "write words that mean the same on one line, with blanks between",
        )
    return table


def synonyms(table: Mapping[str, Sequence[str]]) -> Change:
    """Make the change of words that are in a thesaurus into one of their synonyms."""
    longest = max(map(len, table))

    def places(text: str) -> Sequence[Place]:
        found: list[Place] = []
        for run in RUN.finditer(text):
            start, end = run.span()
            if not re.match(f"[{HAN}]", run[0]):
                found += [(start, end)] if run[0].lower() in table else []
                continue
            # The longest word at each place, from left to right.
            while start < end:
                sizes = range(min(longest, end - start), 0, -1)
                size = next((n for n in sizes if text[start : start + n] in table), 0)
                found += [(start, start + size)] if size else []
                start += size or 1
        return found

    def edit(text: str, place: Place, random: Random) -> Edit:
        word = text[slice(*place)]
        new = random.choice(table[word.lower()])
        return Edit(*place, new.capitalize() if word[0].isupper() and new.islower() else new)

    return Change(places, edit)
