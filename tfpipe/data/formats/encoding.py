"""The encoding of a text file: decided from the whole file, refused where it is not certain."""

from __future__ import annotations

import codecs
import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from tfpipe.data.formats.chinese_bytes import ChineseText
from tfpipe.data.formats.western_bytes import WesternText
from tfpipe.errors import UserError

CHUNK = 2**20
# Bytes of lines with other bytes than ASCII that are examined in detail.
EXAMINED = 2**21
# Bytes of them from which the encoding to advise is guessed.
SAMPLE = 2**16
SHOWN = 5  # lines in a message
UTF_16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
# Python's codecs and iconv's names of them, the frequent ones first.
CANDIDATES = {
    "cp1252": "WINDOWS-1252",
    "gb18030": "GB18030",
    "big5": "BIG5",
    "cp932": "CP932",
    "cp949": "CP949",
    "euc_jp": "EUC-JP",
    "cp1251": "WINDOWS-1251",
    "koi8_r": "KOI8-R",
    "cp1250": "WINDOWS-1250",
    "cp1253": "WINDOWS-1253",
    "cp1254": "WINDOWS-1254",
    "cp1255": "WINDOWS-1255",
    "cp1256": "WINDOWS-1256",
    "cp1257": "WINDOWS-1257",
    "cp874": "CP874",
    "mac_roman": "MACINTOSH",
    "cp850": "CP850",
}


@dataclass(frozen=True)
class Encoding:
    """An encoding of lines of text.

    Attributes:
        shown: Its name in messages; None for UTF-8, which needs none.
        decode: Decodes a line; raises UnicodeDecodeError.
    """

    shown: str | None
    decode: Callable[[bytes], str]


def _decode_pairs(line: bytes) -> str:
    text = line.decode("utf-8", "surrogatepass")
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16")


UTF_8 = Encoding(None, operator.methodcaller("decode", "utf-8"))
UTF_16 = Encoding("UTF-16", operator.methodcaller("decode", "utf-16"))
CESU_8 = Encoding("CESU-8: UTF-8 with characters written as surrogate pairs", _decode_pairs)
GB18030 = Encoding("GB18030", operator.methodcaller("decode", "gb18030"))
WINDOWS_1252 = Encoding("Windows-1252", operator.methodcaller("decode", "cp1252"))


def find_encoding(path: Path, head: bytes, content: BinaryIO) -> Encoding:
    """Read a file to its end, and return its encoding.

    Args:
        path: The file, for messages.
        head: Its first bytes.
        content: The file, at its beginning; it can be rewound.

    Raises:
        UserError: The encoding is not certain; the message names the most plausible one.
    """
    if head.startswith(UTF_16_MARKS):
        if _decodes(content, "utf-16"):
            return UTF_16
        raise UserError(
            "the data file is neither UTF-8 nor whole UTF-16, with whose mark it begins",
            f"{path}, line 1: byte 0x{head[0]:02x}",
            "save it as UTF-8, perhaps with `iconv -c -f UTF-16 -t UTF-8`",
        )
    if _decodes(content, "utf-8"):
        return UTF_8
    content.seek(0)
    found = _Survey().read(content)
    if found.only_surrogates:
        if found.lone.count:
            raise _lone_surrogate(path, found)
        return CESU_8
    # A line of one or two Chinese words may be UTF-8 by accident, of characters of two bytes.
    few = found.invalid.count // 10
    certain: tuple[tuple[Encoding, ChineseText | WesternText, bool], ...] = (
        (GB18030, found.chinese, found.wide <= few and found.valid <= 9 * few + 1),
        (WINDOWS_1252, found.western, found.valid <= few),
    )
    for encoding, text, is_one_encoding in certain:
        content.seek(0)
        if is_one_encoding and text.is_certain and _decodes(content, text.codec):
            return encoding
    raise _uncertain(path, found)


def _decodes(content: BinaryIO, codec: str) -> bool:
    """Return whether the rest of a file is valid in a codec."""
    decoder = codecs.getincrementaldecoder(codec)()
    try:
        for chunk in iter(lambda: content.read(CHUNK), b""):
            decoder.decode(chunk)
        decoder.decode(b"", True)
    except UnicodeDecodeError:
        return False
    return True


@dataclass
class _Lines:
    """Numbers of lines: how many, and the first of them."""

    count: int = 0
    first: list[int] = field(default_factory=list)

    def add(self, number: int) -> None:
        """Count a line."""
        self.count += 1
        if self.count <= SHOWN:
            self.first.append(number)

    def __str__(self) -> str:
        more = f" and {self.count - SHOWN:,} more" if self.count > SHOWN else ""
        return f"line {', '.join(map(str, self.first))}{more}"


@dataclass
class _Survey:
    """What the lines with other bytes than ASCII are, in a file that is not UTF-8.

    Attributes:
        first: The first invalid byte.
        valid: Number of those that are UTF-8.
        wide: Those of them that have a character of three bytes.
        invalid: The others.
        lone: Those with half of a surrogate pair.
        only_surrogates: Whether surrogates are all that keeps the file from being UTF-8.
        cut_off: Whether the last of the others ends within a character.
        sample: Some of the others.
    """

    first: int = 0
    valid: int = 0
    wide: int = 0
    invalid: _Lines = field(default_factory=_Lines)
    lone: _Lines = field(default_factory=_Lines)
    only_surrogates: bool = True
    cut_off: bool = False
    sample: bytearray = field(default_factory=bytearray)
    chinese: ChineseText = field(default_factory=ChineseText)
    western: WesternText = field(default_factory=WesternText)

    def read(self, content: BinaryIO) -> _Survey:
        """Read the file; returns the survey."""
        left = EXAMINED
        for number, line in enumerate(content, start=1):
            if line.isascii():
                continue
            try:
                text = line.decode("utf-8")
            except UnicodeDecodeError as error:
                self.first = self.first or line[error.start]
                self.cut_off = error.reason == "unexpected end of data"
                self._add_invalid(number, line)
            else:
                self.valid += 1
                self.wide += max(text) > "\u07ff"
            if left > 0:
                left -= len(line)
                self.chinese.add(line)
                self.western.add(line)
        return self

    def _add_invalid(self, number: int, line: bytes) -> None:
        self.invalid.add(number)
        if len(self.sample) < SAMPLE:
            self.sample += line
        if self.only_surrogates:
            try:
                line.decode("utf-8", "surrogatepass")
            except UnicodeDecodeError:
                self.only_surrogates = False
                return
            try:
                _decode_pairs(line)
            except UnicodeDecodeError:
                self.lone.add(number)


def _lone_surrogate(path: Path, found: _Survey) -> UserError:
    return UserError(
        "the data file holds half of a surrogate pair, written as UTF-8: no character",
        f"{path}, {found.lone}",
        "the rest is UTF-8, so no other encoding helps: write these characters (mostly emoji) whole"
        " and on one line where the file is made, or remove them",
    )


def _uncertain(path: Path, found: _Survey) -> UserError:
    place = f"{path}, line {found.invalid.first[0]}: byte 0x{found.first:02x}"
    count = found.invalid.count
    if count == 1 and found.cut_off:
        return UserError(
            "the data file ends in the middle of a character", place, "give the whole file"
        )
    if found.valid > count:
        lines = f"; {count:,} of {count + found.valid:,} lines with such bytes are not UTF-8"
        return UserError(
            "the data file is UTF-8 but for some lines",
            f"{place}{lines}: {found.invalid}",
            "mend these lines, or remove them; an encoding for the whole file would spoil the"
            " others",
        )
    name = guess_encoding(bytes(found.sample))
    advice = f"; it is probably {name}: `iconv -f {name} -t UTF-8` makes UTF-8 of it"
    return UserError("the data file is not valid UTF-8", place, f"save it as UTF-8{advice}")


def guess_encoding(sample: bytes) -> str:
    """Return iconv's name of the most plausible encoding of some lines that are not UTF-8."""
    import charset_normalizer

    by_rules = [*_guess_by_rules(sample)]
    found = charset_normalizer.from_bytes(sample, cp_isolation=list(CANDIDATES))
    names = [*by_rules, *(CANDIDATES[one.encoding] for one in found if one.encoding in CANDIDATES)]
    return names[0] if names else CANDIDATES["cp1252"]


def _guess_by_rules(sample: bytes) -> Iterator[str]:
    """Yield encodings that the statistics of charset-normalizer miss in short texts."""
    for codec in ("cp932", "euc_jp"):
        try:
            text = sample.decode(codec)
        except UnicodeDecodeError:
            continue
        letters = [character for character in text if not character.isascii()]
        # Two bytes in a row are hiragana by chance once in a hundred times.
        if sum("\u3041" <= letter <= "\u3096" for letter in letters) > 0.2 * len(letters):
            yield CANDIDATES[codec]
    chinese, western = ChineseText(), WesternText()
    for line in sample.splitlines(keepends=True):
        chinese.add(line)
        western.add(line)
    if chinese.is_plausible:
        yield CANDIDATES["gb18030"]
    if western.is_plausible:
        yield CANDIDATES[western.other_codec or western.codec]
