"""Names, texts, lists and durations as they are shown."""

from __future__ import annotations

import pytest

from tfpipe.report.page import breakable
from tfpipe.text_display import format_duration, list_few, shorten


def test_long_lists_are_counted():
    assert list_few([]) == ""
    assert list_few(["a", "b"], 2) == "'a', 'b'"
    assert list_few(range(1, 1006), show=str) == "1, 2, 3, 4, 5 and 1,000 more"


def test_durations():
    assert [format_duration(s) for s in (0.9, 62, 3723)] == ["0:00", "1:02", "1:02:03"]


def test_shorten():
    assert shorten("a\n\tb\x00c\u202e  d", 20) == "a bc d"
    assert shorten("x" * 50, 10) == "x" * 9 + "…"
    assert shorten("half \ud83d pair", 20) == "half \ufffd pair"


FAMILY, WALES, WAVE = (
    "\U0001f469\u200d\U0001f469\u200d\U0001f467",
    "\U0001f3f4\U000e0067\U000e0062\U000e0077\U000e006c\U000e0073\U000e007f",
    "\U0001f44b\U0001f3fd",
)
FLAGS = "\U0001f1e9\U0001f1ea\U0001f1eb\U0001f1f7"


@pytest.mark.parametrize("sign", [FAMILY, WALES, WAVE, "e\u0301\u0323", "\u2764\ufe0f"])
def test_signs_of_several_characters_stay_whole_or_go(sign):
    assert shorten(f"a {sign} b", 20) == f"a {sign} b"
    for most in range(3, len(sign) + 5):
        cut = shorten(f"ab{sign}cdefgh", most)
        assert len(cut) <= most and cut in ("ab…", f"ab{sign}…", f"ab{sign}c…", f"ab{sign}cd…")


def test_flags_are_cut_between_pairs_and_joiners_alone_vanish():
    assert [shorten(FLAGS, most) for most in (2, 3, 4)] == ["…", FLAGS[:2] + "…", FLAGS]
    assert shorten("\u200da\u200d\u200d b\u200d \u200c", 9) == "a\u200d b"
    assert shorten("a\U000e0041\U000e0042b", 9) == "ab"
    assert breakable("x" * 23 + FAMILY + "x" * 30).count("<wbr>") == 2
    assert FAMILY in breakable("x" * 23 + FAMILY + "x" * 30)
    assert "".join(breakable("_a\u200db" * 40).split("<wbr>")) == "_a\u200db" * 40
