"""The changes: where in a text each can be made, and how it edits a place."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeAlias

from tfpipe.data.changes.chinese import HOMOPHONES, SCRIPTS, SIMILAR
from tfpipe.data.changes.edits import Edit, Edits
from tfpipe.data.changes.latin import HOMOGLYPHS, KEYS

HAN = "\u3400-\u4dbf\u4e00-\u9fff"
# A character of Chinese is a word of its own.
WORD = re.compile(rf"[{HAN}]|[^\W\d_{HAN}]+")
LATIN_WORD = re.compile(r"[A-Za-z]{3,}")
LONG_WORD = re.compile(rf"[^\W\d_{HAN}]{{4,}}|[{HAN}]{{2}}")
MARK = re.compile(r"[^\w\s]|_")
WIDE = re.compile(r"[!-~！-～]")
WIDE_OFFSET = ord("！") - ord("!")
EMOJI = ("🙂", "😀", "👍", "🙏", "❤️", "😂", "😢", "🔥")
INVISIBLE = ("\u200b", "\u200d", "\u2060", "\ufeff")

# `text[start:end]`.
Place: TypeAlias = tuple[int, int]


@dataclass(frozen=True)
class Change:
    """A way to change texts.

    Attributes:
        places: Where it can be made in a text, in order, without overlaps.
        edit: Edits a place of a text; None where that leaves it as it is.
    """

    places: Callable[[str], Sequence[Place]]
    edit: Callable[[str, Place, Random], Edit | None]

    def edits(self, text: str, share: float, random: Random, least: int = 0) -> Edits:
        """Draw edits of a text.

        Args:
            text: The text.
            share: Of the places that are edited, each with this probability.
            random: The generator.
            least: Number of places that are edited at least, where there are as many.
        """
        places = self.places(text)
        found: list[Edit] = []
        others: list[Place] = []
        for place in places:
            taken = random.random() < share
            edit = self.edit(text, place, random) if taken else None
            if edit is not None:
                found.append(edit)
            elif not taken:
                others.append(place)
        while len(found) < least and others:
            edit = self.edit(text, others.pop(random.randrange(len(others))), random)
            if edit is not None:
                found.append(edit)
        return sorted(found)


def _matches(pattern: re.Pattern[str]) -> Callable[[str], Sequence[Place]]:
    return lambda text: [match.span() for match in pattern.finditer(text)]


def change_characters(table: Mapping[str, str]) -> Change:
    """Make the change of characters that are in a table, each into one of its others there."""

    def places(text: str) -> Sequence[Place]:
        return [(at, at + 1) for at, character in enumerate(text) if character in table]

    def edit(text: str, place: Place, random: Random) -> Edit:
        return Edit(*place, random.choice(table[text[place[0]]]))

    return Change(places, edit)


def _mistype(text: str, place: Place, random: Random) -> Edit:
    """Replace a letter by one of the keys around it."""
    at = random.randrange(*place)
    new = random.choice(KEYS[text[at].lower()])
    return Edit(at, at + 1, new.upper() if text[at].isupper() else new)


def _swap(text: str, place: Place, random: Random) -> Edit | None:
    """Swap two neighbours: inner letters of a word, or Chinese characters."""
    start, end = place
    # The first and the last letter stay, by which people still read the word.
    at = start if end - start == 2 else random.randrange(start + 1, end - 2)
    one, other = text[at], text[at + 1]
    return None if one == other else Edit(at, at + 2, other + one)


def _drop(text: str, place: Place, random: Random) -> Edit:
    """Leave out an inner letter of a word, or the second of two Chinese characters."""
    start, end = place
    at = start + 1 if end - start == 2 else random.randrange(start + 1, end - 1)
    return Edit(at, at + 1, "")


def _change_case(text: str, place: Place, random: Random) -> Edit | None:
    """Write a word in capitals, in small letters, or with a capital."""
    word = text[slice(*place)]
    forms = [form for form in (word.upper(), word.lower(), word.capitalize()) if form != word]
    return Edit(*place, random.choice(forms)) if forms else None


def _change_space(text: str, place: Place, random: Random) -> Edit:
    """Leave out the blank before a word, or put one before or into it."""
    start, end = place
    if start and text[start - 1] == " " and random.random() < 0.5:
        return Edit(start - 1, start, "")
    at = random.randrange(start, end)
    return Edit(at, at, " ")


def _change_mark(text: str, place: Place, random: Random) -> Edit:
    """Leave out a punctuation mark, or add one at the end of the text."""
    start, end = place
    return Edit(start, end, "") if start < end else Edit(start, end, random.choice("!.?…"))


def _marks(text: str) -> Sequence[Place]:
    return [*_matches(MARK)(text), (len(text), len(text))]


def _change_width(text: str, place: Place, random: Random) -> Edit:
    """Write a character of ASCII in full width, or one of full width in ASCII."""
    point = ord(text[place[0]])
    return Edit(*place, chr(point + (WIDE_OFFSET if point < 128 else -WIDE_OFFSET)))


def _add_emoji(text: str, place: Place, random: Random) -> Edit:
    return Edit(place[1], place[1], f" {random.choice(EMOJI)}")


def _sentence_ends(text: str) -> Sequence[Place]:
    return [(match.end(), match.end()) for match in re.finditer(r"[.!?。！？]|$", text)]


def _insert_invisible(text: str, place: Place, random: Random) -> Edit:
    at = random.randint(*place)
    return Edit(at, at, random.choice(INVISIBLE))


CHANGES: Mapping[str, Change] = {
    "typos": Change(_matches(LATIN_WORD), _mistype),
    "swap": Change(_matches(LONG_WORD), _swap),
    "drop": Change(_matches(LONG_WORD), _drop),
    "case": Change(_matches(WORD), _change_case),
    "spacing": Change(_matches(WORD), _change_space),
    "punctuation": Change(_marks, _change_mark),
    "width": Change(_matches(WIDE), _change_width),
    "emoji": Change(_sentence_ends, _add_emoji),
    "invisible": Change(_matches(WORD), _insert_invisible),
    "homoglyphs": change_characters(HOMOGLYPHS),
    "homophones": change_characters(HOMOPHONES),
    "shapes": change_characters(SIMILAR),
    "scripts": change_characters(SCRIPTS),
}
