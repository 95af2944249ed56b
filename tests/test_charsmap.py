"""The table of replacements of SentencePiece's normalisation."""

import random

import pytest
from tokenizers.normalizers import Precompiled

from tfpipe.data.tokenizer.unigram.charsmap import build, parse
from tfpipe.errors import UserError

MAP = {
    "\t": " ",
    "\x01": "",
    "Ａ": "A",
    "e\u0301": "é",
    "ﬁ": "fi",
    "㌀": "アパート",
    "\U0001f100": "0.",
    "\U00020000": "丽",
    "丽": "丽",
}


def test_built_table_is_read_as_it_was():
    assert parse(build(MAP)) == MAP
    assert parse(build({})) == {}


def test_tokenizers_reads_the_built_table_equally():
    rng = random.Random(1)
    characters = rng.sample(
        [chr(c) for c in range(0x80, 0x30000) if not 0xD800 <= c < 0xE000], 5000
    )
    table = {c: "".join(rng.choices("ab ▁é龍", k=rng.randrange(4))) for c in characters}
    normalizer = Precompiled(build(table))
    # One by one: neighbours may be one grapheme, of which tokenizers looks up the beginning only.
    for character in [*characters, "a", "z", "\u3000", "\U0010ffff"]:
        assert normalizer.normalize_str(character) == table.get(character, character)


def test_tokenizers_looks_up_a_letter_with_its_mark():
    assert Precompiled(build(MAP)).normalize_str("xe\u0301e") == "xée"


def test_keys_that_no_text_can_reach_are_left_out():
    table = {"a": "b", "ab": "c", "xyz\u0301\u0301": "long", "xy\u0301": "d"}
    assert parse(build(table)) == {"a": "b", "xy\u0301": "d"}


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "0 bytes, of which 0"),
        (b"\0\4\0\0" + bytes(100), "104 bytes, of which 1024"),
        (build(MAP)[:-1], "bytes, of which 1024"),
        (b"\7\0\0\0" + bytes(7), "11 bytes, of which 7"),
        (build({"a": "é"}).replace("é".encode(), b"\xff\xff"), "is not UTF-8"),
        (build({"a": "long"}).replace(b"long\0", b""), "an outcome at byte 0 of 0"),
    ],
)
def test_damaged_table_is_refused(content, found):
    with pytest.raises(UserError, match="damaged") as raised:
        parse(content)
    assert found in raised.value.found


@pytest.mark.parametrize(("key", "outcome"), [("", "a"), ("\0", ""), ("a", "b\0")])
def test_replacement_that_the_format_cannot_hold_is_refused(key, outcome):
    with pytest.raises(UserError, match="cannot be written") as raised:
        build({key: outcome})
    assert raised.value.found == f"{key!r} by {outcome!r}"
