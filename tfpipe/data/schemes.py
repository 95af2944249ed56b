"""Tagging schemes of entities, BIO, IOB1 and BIOES: recognised, checked and read.

tokens   Ann   Lee   met   Bob   Ray
BIO      B-per I-per O     B-per B-per
IOB1     I-per I-per O     I-per B-per      B only after an entity of the same type
BIOES    B-per E-per O     S-per S-per      the last token and a single one are marked
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

BIO, IOB1, BIOES = "BIO", "IOB1", "BIOES"
OUTSIDE = "O"
# The same marks by other names: BILOU has L and U, BMES has M.
OTHER_LETTERS = {"L": "E", "U": "S", "M": "I"}


class SchemeTag(NamedTuple):
    """A tag's letter (O, B, I, E or S) and type; that of O is empty."""

    letter: str
    type: str


class Break(NamedTuple):
    """A tag that its scheme does not allow: its place in the sentence, and what to write there."""

    place: int
    fix: str


def split_tag(written: str) -> SchemeTag | None:
    """Split a string such as `B-person` into a tag; None where it is not a tag, or has no type."""
    if written == OUTSIDE:
        return SchemeTag(OUTSIDE, "")
    letter, dash, kind = written.partition("-")
    letter = OTHER_LETTERS.get(letter, letter)
    if letter not in ("B", "I", "E", "S") or not dash or not kind:
        return None
    return SchemeTag(letter, kind)


def recognise_scheme(sentences: Iterable[Sequence[SchemeTag]]) -> str:
    """Return BIO, IOB1 or BIOES: the one that the sentences break least, BIO where several fit."""
    in_bio = in_iob1 = 0
    for tags in sentences:
        if any(tag.letter in "ES" for tag in tags):
            return BIOES
        in_bio += sum(1 for _ in _breaks_of_bio(tags))
        in_iob1 += sum(1 for _ in _breaks_of_iob1(tags))
    return IOB1 if in_iob1 < in_bio else BIO


def find_breaks(tags: Sequence[SchemeTag], scheme: str) -> Iterator[Break]:
    """List the tags of a sentence that its scheme does not allow, in order."""
    return BREAKS[scheme](tags)


def find_entities(tags: Sequence[SchemeTag]) -> list[tuple[int, int, str]]:
    """List a sentence's entities as (first token, token after the last, type), in any scheme."""
    entities: list[tuple[int, int, str]] = []
    first: int | None = None
    for place, (tag, before) in enumerate(_with_before([*tags, SchemeTag(OUTSIDE, "")])):
        if first is not None and (tag.letter in "OBS" or not _goes_on(before, tag)):
            entities.append((first, place, before.type))
            first = None
        if first is None and tag.letter != OUTSIDE:
            first = place
    return entities


def _goes_on(before: SchemeTag, tag: SchemeTag) -> bool:
    """Whether the entity of the token before is open, and of the type of this one."""
    return before.letter in "BI" and before.type == tag.type


def _with_before(tags: Sequence[SchemeTag]) -> Iterator[tuple[SchemeTag, SchemeTag]]:
    return zip(tags, [SchemeTag(OUTSIDE, ""), *tags], strict=False)


def _breaks_of_bio(tags: Sequence[SchemeTag]) -> Iterator[Break]:
    for place, (tag, before) in enumerate(_with_before(tags)):
        if tag.letter == "I" and not _goes_on(before, tag):
            yield Break(place, f"B-{tag.type}, for an entity begins with B")


def _breaks_of_iob1(tags: Sequence[SchemeTag]) -> Iterator[Break]:
    for place, (tag, before) in enumerate(_with_before(tags)):
        if tag.letter == "B" and not _goes_on(before, tag):
            yield Break(place, f"I-{tag.type}, for B is only for the second of two that touch")


def _breaks_of_bioes(tags: Sequence[SchemeTag]) -> Iterator[Break]:
    for place, (tag, before) in enumerate(_with_before([*tags, SchemeTag(OUTSIDE, "")])):
        goes_on = tag.letter in "IE" and _goes_on(before, tag)
        if before.letter in "BI" and not goes_on:
            last = "S" if before.letter == "B" else "E"
            yield Break(place - 1, f"{last}-{before.type}, for the entity ends there")
        if tag.letter in "IE" and not goes_on:
            first = "B" if tag.letter == "I" else "S"
            yield Break(place, f"{first}-{tag.type}, for an entity begins there")


BREAKS: dict[str, Callable[[Sequence[SchemeTag]], Iterator[Break]]] = {
    BIO: _breaks_of_bio,
    IOB1: _breaks_of_iob1,
    BIOES: _breaks_of_bioes,
}
