"""Offsets that count UTF-16 code units or UTF-8 bytes, as other languages do, not characters."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tfpipe.data.conll import CJK, HAN
from tfpipe.data.spans import Span
from tfpipe.errors import UserError


class Unit(NamedTuple):
    """What places may count: its name, which characters are several, behind which each one more."""

    name: str
    which: str
    limits: str


# By the value of --offsets.
UNITS = {
    "utf16": Unit("UTF-16 code units", "beyond U+FFFF, as emoji are", "\uffff"),
    "utf8": Unit("UTF-8 bytes", "that is not ASCII", "\x7f\u07ff\uffff"),
}
DEFAULT = "characters"
# Of entities: as many at least must be wrong, and this share of them may stay so.
FEWEST, STILL_WRONG = 2, 0.1
SENTENCE_SIGNS = "，。！？、；：,;"


class _Entity(NamedTuple):
    row: int
    text: str
    characters: tuple[int, int] | None
    units: tuple[int, int] | None

    def surface(self, places: tuple[int, int] | None) -> str:
        return "" if places is None else self.text[places[0] : places[1]]


@dataclass
class _Surfaces:
    """Entities that both ways of counting read alike, as texts."""

    known: set[str]

    def is_wrong(self, text: str, places: tuple[int, int] | None, other: str) -> bool:
        """Return whether an entity cannot be meant, or only what others are read otherwise."""
        if places is None or is_torn(text, *places):
            return True
        return other in self.known and text[places[0] : places[1]] not in self.known


def places_of(text: str, unit: str) -> list[int]:
    """Return the place of each character and of the end, counted in units; [N + 1]."""
    limits = UNITS[unit].limits
    widths = (1 + sum(character > limit for limit in limits) for character in text)
    return [0, *itertools.accumulate(widths)]


def to_characters(spans: Sequence[Span], text: str, unit: str) -> list[Span] | None:
    """Return spans that are counted in units, counted in characters; None where one cannot be."""
    character = {place: i for i, place in enumerate(places_of(text, unit))}
    if not all(place in character for span in spans for place in (span.start, span.end)):
        return None
    return [Span(character[span.start], character[span.end], span.type) for span in spans]


def is_torn(text: str, start: int, end: int) -> bool:
    """Return whether a span lies outside of a text, ends in a word, or has a blank at an end."""
    if not 0 <= start < end <= len(text):
        return True
    span = text[start:end]
    signs = SENTENCE_SIGNS
    if span != span.strip() or span[0] in signs or span[-1] in signs:
        return True
    return _in_word(text, start) or _in_word(text, end)


def _in_word(text: str, place: int) -> bool:
    """Return whether a place is between two letters; Chinese words do not show where they end."""
    around = text[place - 1 : place + 1] if place else ""
    return len(around) == 2 and all(
        character.isalnum() and not HAN.match(character) and not CJK.match(character)
        for character in around
    )


def refuse_other_units(path: str, texts: Sequence[str], entities: Sequence[Sequence[Span]]) -> None:
    """Refuse entities whose places count UTF-16 code units or bytes.

    They do where most of the entities behind a character of several units are torn, and nearly none
    is when units are counted.

    Args:
        path: The file, for messages.
        texts: The texts.
        entities: The spans of each text, which may lie outside of it.

    Raises:
        UserError: The file counts other units than characters.
    """
    for unit, (name, which, _) in UNITS.items():
        shifted, known = _split(texts, entities, unit)
        wrong = [e for e in shifted if known.is_wrong(e.text, e.characters, e.surface(e.units))]
        left = sum(known.is_wrong(e.text, e.units, e.surface(e.characters)) for e in shifted)
        if len(wrong) < max(FEWEST, len(shifted) / 2) or left > STILL_WRONG * len(shifted):
            continue
        first = wrong[0]
        raise UserError(
            f"the places of entities count {name}, not characters",
            f"{path}: {len(wrong):,} of {len(shifted):,} entities behind a character {which}, begin"
            f" or end inside words; counted in {name}, {left:,} do. Row {first.row + 1}:"
            f" {first.surface(first.characters)!r} instead of {first.surface(first.units)!r}",
            f"add --offsets {unit}, or export places that count characters, as Python's len does",
        )


def _split(
    texts: Sequence[str], entities: Sequence[Sequence[Span]], unit: str
) -> tuple[list[_Entity], _Surfaces]:
    """Return the entities that the units shift, and the surfaces of all others."""
    shifted, known = [], set()
    for row, (text, spans) in enumerate(zip(texts, entities, strict=True)):
        for entity in _entities(row, text, spans, unit):
            if entity.characters == entity.units:
                known.add(entity.surface(entity.characters))
            else:
                shifted.append(entity)
    return shifted, _Surfaces(known)


def _entities(row: int, text: str, spans: Sequence[Span], unit: str) -> Iterator[_Entity]:
    if not spans:
        return
    if max(text, default="") <= UNITS[unit].limits[0]:
        yield from (_Entity(row, text, (s.start, s.end), (s.start, s.end)) for s in spans)
        return
    character = {place: i for i, place in enumerate(places_of(text, unit))}
    for span in spans:
        start, end = character.get(span.start), character.get(span.end)
        units = None if start is None or end is None else (start, end)
        yield _Entity(row, text, (span.start, span.end), units)
