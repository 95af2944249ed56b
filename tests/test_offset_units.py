"""Entities whose places count UTF-16 code units or UTF-8 bytes: refused, or read with --offsets."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tfpipe.data.examples import Columns
from tfpipe.data.offset_units import is_torn, places_of
from tfpipe.data.splits import read_for, read_splits
from tfpipe.errors import UserError
from tfpipe.tasks import TASKS

COUNT: dict[str, Callable[[str], int]] = {
    "characters": len,
    "utf16": lambda text: len(text.encode("utf-16-le")) // 2,
    "utf8": lambda text: len(text.encode()),
}
NAMES = ("Ana Broom", "Jo Field", "Sam Reed")
TAG = TASKS["tag"].rules


def write(path: Path, unit: str, texts: Sequence[str], names: Sequence[str] = NAMES) -> str:
    """Write texts with `{}` for a name, whose place is counted in a unit."""
    lines = []
    for row, template in enumerate(texts):
        before, _, after = template.partition("{}")
        name = names[row % len(names)]
        start = COUNT[unit](before)
        span = [start, start + COUNT[unit](name), "person"]
        lines.append(json.dumps({"text": before + name + after, "label": [span]}) + "\n")
    path.write_text("".join(lines), encoding="utf-8")
    return str(path)


EMOJI = ["🚲🚲🚲 {} moved in May", "😀 thanks, {}", "hello {} 👍", "I met {} 👨‍👩‍👧 and left"] * 3
LATIN = ["café: {} moved in May", "Größe für {}", "hello {}", "ça va, {}?"] * 3
CHINESE = ["😀{}，今天去上海", "🚲🚲今天{}到了", "今天{}到了", "昨天{}没来"] * 3
FAMILY = [
    ("utf16", EMOJI, NAMES, "UTF-16 code units"),
    ("utf16", CHINESE, ("陈小满", "欧阳芳芳", "李雷"), "UTF-16 code units"),
    ("utf8", LATIN, NAMES, "UTF-8 bytes"),
    ("utf8", EMOJI, NAMES, "UTF-8 bytes"),
    ("utf8", CHINESE, ("陈小满", "欧阳芳芳", "李雷"), "UTF-8 bytes"),
]


@pytest.mark.parametrize(("unit", "texts", "names", "reported"), FAMILY)
def test_places_in_other_units(
    unit: str, texts: list[str], names: Sequence[str], reported: str, tmp_path: Path
) -> None:
    path = write(tmp_path / "a.jsonl", unit, texts, names)
    with pytest.raises(UserError) as caught:
        read_for(path, Columns(), TAG)
    assert caught.value.wrong == f"the places of entities count {reported}, not characters"
    assert f"add --offsets {unit}" in caught.value.fix and path in caught.value.found
    good = read_for(write(tmp_path / "b.jsonl", "characters", texts, names), Columns(), TAG)
    converted = read_for(path, Columns(offsets=unit), TAG)
    assert (converted.labels, converted.texts) == (good.labels, good.texts)
    assert converted.parsed == good.parsed
    parts = read_splits(path, "0.2", path, Columns(offsets=unit), 1, TAG)
    assert parts.test is not None and parts.test.labels == good.labels


def test_the_sentence_says_what_was_found(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", "utf16", EMOJI)
    with pytest.raises(UserError) as caught:
        read_for(path, Columns(), TAG)
    assert caught.value.found == (
        f"{path}: 6 of 6 entities behind a character beyond U+FFFF, as emoji are, begin or end"
        " inside words; counted in UTF-16 code units, 0 do. Row 1: ' Broom mo' instead of 'Ana"
        " Broom'"
    )


@pytest.mark.parametrize("texts", [EMOJI, LATIN, CHINESE, ["{} is here", "here is {}"]])
def test_places_in_characters_are_read(texts: list[str], tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", "characters", texts)
    assert len(read_for(path, Columns(), TAG)) == len(texts)


def test_entities_that_are_parts_of_words_are_no_reason(tmp_path: Path) -> None:
    # Wrong, but no better in other units.
    texts = ["😀 un{}able", "🚲 re{}do", "👍 pre{}view"]
    assert len(read_for(write(tmp_path / "a.jsonl", "characters", texts), Columns(), TAG)) == 3


def test_a_place_inside_of_a_character(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"text": "😀 Ann", "label": [[1, 3, "x"]]}) + "\n")
    with pytest.raises(UserError, match="inside of a character") as caught:
        read_for(str(path), Columns(offsets="utf16"), TAG)
    assert "row 1" in caught.value.found
    table = tmp_path / "b.csv"
    table.write_text("text,label\na,x\nb,y\n")
    with pytest.raises(UserError, match="no places of entities"):
        read_for(str(table), Columns(offsets="utf16"), TASKS["classify"].rules)


@pytest.mark.parametrize("unit", ["utf16", "utf8"])
def test_places_of_all_kinds_of_characters(unit: str) -> None:
    text = "aé中\uffff😀b"
    assert places_of(text, unit) == [COUNT[unit](text[:i]) for i in range(len(text) + 1)]


@pytest.mark.parametrize(
    ("text", "span", "torn"),
    [
        ("see Ann Lee.", (4, 11), False),
        ("see Ann Lee.", (4, 12), False),
        ("see Ann Lee.", (3, 11), True),
        ("see Ann Lee.", (5, 11), True),
        ("see Ann Lee.", (4, 10), True),
        ("see Ann Lee.", (4, 13), True),
        ("去北京，好", (1, 3), False),
        ("去北京，好", (1, 4), True),
        ("用iPhone打", (1, 7), False),
        ("用iPhone打", (1, 6), True),
    ],
)
def test_torn_entities(text: str, span: tuple[int, int], torn: bool) -> None:
    assert is_torn(text, *span) is torn
