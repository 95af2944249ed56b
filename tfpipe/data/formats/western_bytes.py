"""Whether bytes are a Western European language in Windows-1252 (with it Latin-1)."""

from __future__ import annotations

import re
from collections import Counter

from tfpipe.data.formats.decoded_lines import DecodedLines

# A word is a run of letters; those of other alphabets and of other encodings have many that are not
# ASCII, capitals in the middle, or signs between their letters.
LETTERS = "A-Za-zÀ-ÖØ-öø-ÿŒœŠšŽžŸ"
WORD = re.compile(f"[{LETTERS}]+")
SIGN_IN_WORD = re.compile(
    f"(?<=[{LETTERS}])[^{LETTERS}\\x00-\\x7f’‘´·–—…\\xa0\\xad“”«»](?=[{LETTERS}])"
)
CAPITAL_IN_WORD = re.compile(r"[a-zß-öø-ÿœšž][À-ÖØ-ÞŠŒŽŸ]")
# Letters of languages that other encodings have in the same places, and those beside which they
# stand there: the ř, ě, š of Czech, đ and č of Croatian, ő and ű of Hungarian, ã and î of Romanian,
# š, ž and ė of Baltic languages.
OTHER_LANGUAGES = (
    ("cp1250", ("øìèùòï", "šžý")),
    ("cp1250", ("ø", "ìèù")),
    ("cp1250", ("õû", "öü", "áéíóú")),
    ("cp1250", ("ã", "îþ")),
    ("cp1257", ("ðþ", "ëàûø")),
)
TURKISH = "ðþý"
ICELANDIC = "áéíóúæ"
NEGLIGIBLE = 0.02


class WesternText(DecodedLines):
    """Counts the words and letters of lines, read as Windows-1252."""

    codec = "cp1252"

    def __init__(self) -> None:
        super().__init__()
        self._letters: Counter[str] = Counter()
        self._plain = self._broken = 0

    def _count(self, text: str) -> None:
        for word in WORD.findall(text):
            if not word.isascii():
                special = [letter for letter in word.lower() if not letter.isascii()]
                self._letters.update(special)
                self._plain += len(word) - len(special)
                self._broken += bool(CAPITAL_IN_WORD.search(word))
        self._broken += len(SIGN_IN_WORD.findall(text))

    @property
    def is_plausible(self) -> bool:
        """Whether the words look like words of Latin letters."""
        total = sum(self._letters.values())
        few_broken = self._broken <= NEGLIGIBLE * max(1, total)
        return self.valid and few_broken and self._plain >= total

    @property
    def is_certain(self) -> bool:
        """Whether no other language of Latin letters would look like this."""
        return self.is_plausible and self.other_codec is None

    @property
    def other_codec(self) -> str | None:
        """The codec of another language of Latin letters that looks like this, if there is one."""
        if not self.is_plausible:
            return None
        if self._has(TURKISH) and not self._has(ICELANDIC):
            return "cp1254"
        return next(
            (codec for codec, all_of in OTHER_LANGUAGES if all(map(self._has, all_of))), None
        )

    def _has(self, letters: str) -> bool:
        count = sum(self._letters[letter] for letter in letters)
        return count > NEGLIGIBLE * sum(self._letters.values())
