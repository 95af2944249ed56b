"""Personal data in texts: found by form and check digit, and replaced before a text is kept."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Iterator

# Full-width characters are as wide in code points as those of ASCII, so that places stay.
NARROW = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {0x3000: 0x20}
# Digits in groups, with one separator between two groups.
RUN = re.compile(r"\d+(?:[ .\-]\d+)*[xX]?")
GROUP = re.compile(r"\d+[xX]?")
# Chinese letters end an address, though they count as letters: the text goes on with them.
_LOCAL = r"(?:[^\W\u2e80-\u9fff\uf900-\ufaff]|[.+%\-])"
EMAIL = re.compile(rf"{_LOCAL}{{1,64}}@(?:[A-Za-z0-9\-]{{1,63}}\.){{1,8}}[A-Za-z]{{2,63}}")
_GAP = r"[ .\-]?"
PHONES = (
    # International: + or 00, then 8 to 15 digits.
    rf"(?:\+|(?<!\d)00)(?:{_GAP}\(?\d\)?){{8,15}}(?!\d)",
    # Chinese mobile numbers, with 86 or without.
    rf"(?<!\d)(?:86{_GAP})?1[3-9]\d{_GAP}\d{{4}}{_GAP}\d{{4}}(?!\d)",
    # A national number with its leading zero: 9 to 12 digits in all.
    r"(?<!\d)\(?0[1-9](?:[ ./\-)]{0,2}\d){7,10}(?!\d)",
    # North America.
    r"(?<!\d)(?:1[ .\-])?(?:\(\d{3}\) ?|\d{3}[ .\-])\d{3}[ .\-]\d{4}(?!\d)",
)
PHONE = re.compile("|".join(PHONES))
ID_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def passes_luhn(digits: str) -> bool:
    """Whether the last digit of a card number is right (ISO/IEC 7812-1, annex B)."""
    doubled = (2 * int(digit) for digit in digits[-2::-2])
    return (sum(map(int, digits[::-2])) + sum(n - 9 * (n > 9) for n in doubled)) % 10 == 0


def is_card(number: str) -> bool:
    """Whether digits are a payment card's: 13 to 19, a known first digit, Luhn's check digit."""
    return number.isdigit() and number[0] in "23456" and passes_luhn(number)


def is_identity(number: str) -> bool:
    """Whether a number is a Chinese identity number (GB 11643): a birth date and check digit."""
    digits, last = number[:17], number[17:].upper()
    if not digits.isdigit() or digits[0] not in "12345689":
        return False
    try:
        datetime.date(int(digits[6:10]), int(digits[10:12]), int(digits[12:14]))
    except ValueError:
        return False
    total = sum(weight * int(digit) for weight, digit in zip(ID_WEIGHTS, digits, strict=True))
    return "10X98765432"[total % 11] == last


def _numbers(text: str, lengths: range, check: Callable[[str], bool]) -> Iterator[tuple[int, int]]:
    """Places of numbers of these lengths that pass a check and begin and end with a group."""
    for run in RUN.finditer(text):
        groups = [match.span() for match in GROUP.finditer(text, *run.span())]
        first = 0
        while first < len(groups):
            found = None
            number = ""
            for last in range(first, len(groups)):
                number += text[slice(*groups[last])]
                if len(number) > lengths.stop:
                    break
                # A letter x behind a card number belongs to the text.
                for one in {number, number.rstrip("xX")}:
                    if len(one) in lengths and check(one):
                        end = groups[last][1] - len(number) + len(one)
                        found, after = (groups[first][0], end), last
            if found:
                yield found
                first = after
            first += 1


def mask(text: str) -> str:
    """Replace identity numbers, card numbers, e-mail addresses and phone numbers.

    Args:
        text: Any text; full-width digits count as digits.

    Returns:
        The text with `[id]`, `[card]`, `[email]` and `[phone]` in their places.
    """
    for name, places in (
        ("email", lambda plain: (match.span() for match in EMAIL.finditer(plain))),
        ("id", lambda plain: _numbers(plain, range(18, 19), is_identity)),
        ("card", lambda plain: _numbers(plain, range(13, 20), is_card)),
        ("phone", lambda plain: (match.span() for match in PHONE.finditer(plain))),
    ):
        plain = text.translate(NARROW)
        for start, end in reversed([*places(plain)]):
            text = f"{text[:start]}[{name}]{text[end:]}"
    return text
