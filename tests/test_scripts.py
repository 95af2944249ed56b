"""The script of a text is that of most of its letters."""

from __future__ import annotations

import unicodedata

import pytest

from tfpipe.data import scripts
from tfpipe.data.scripts import SCRIPTS, scripts_of

TEXTS = {
    "Where is my card? 123": "latin",
    "Wo ist die Straße, ÀÉÎ": "latin",
    "ＦＵＬＬ ｗｉｄｔｈ": "latin",
    "我的银行卡在哪里？": "han",
    "々〆𠀀豈": "han",
    "これはペンです": "kana",
    "ｶﾀｶﾅ ー": "kana",
    "안녕하세요": "hangul",
    "ᄒ": "hangul",
    "Где моя карта": "cyrillic",
    "أين بطاقتي": "arabic",
    "मेरा कार्ड कहाँ है": "devanagari",
    "บัตรของฉันอยู่ที่ไหน": "thai",
    "Πού είναι η κάρτα μου": "greek",
    "איפה הכרטיס שלי": "hebrew",
    "என் அட்டை எங்கே": "tamil",
    "სად არის ბარათი": "georgian",
    "ꯃꯩꯇꯩ": "other",
    "𝐀𝐁": "other",
    "": "none",
    " 12.5 😀 ？！\t\n": "none",
    "我的iPhone": "latin",
    "我的iPad坏了": "han",
    "a\ud800b": "latin",
    "\U0010ffff": "none",
}


@pytest.mark.parametrize("text", TEXTS, ids=ascii)
def test_the_script_of_most_letters(text: str) -> None:
    assert SCRIPTS[scripts_of([text])[0]] == TEXTS[text]


def test_all_columns_of_a_row_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scripts, "CHUNK", 2)
    found = scripts_of(["ab", "ab", "", "卡", "1"], ["卡", "我的卡", "я", "ab", "2"])
    assert [SCRIPTS[i] for i in found] == ["latin", "han", "cyrillic", "latin", "none"]
    assert scripts_of([]).tolist() == []


def test_there_are_no_letters_beyond_the_table() -> None:
    planes = range(scripts.LIMIT, 0x110000, 0x101)
    assert not [p for p in planes if unicodedata.category(chr(p)).startswith("L")]
