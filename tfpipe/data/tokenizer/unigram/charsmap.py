"""SentencePiece's table of replacements in normalisation, `precompiled_charsmap`.

The format: a uint32, the size in bytes of a double array; the double array of Darts-clone (uint32
units, all little-endian) from keys to the places of their outcomes; the outcomes in UTF-8, each
with a NUL behind it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from tfpipe.errors import UserError

# Darts-clone pads its array to blocks of this many units.
BLOCK = 256
SEARCHED = 4 * BLOCK
HAS_LEAF = 1 << 8
VALUE = (1 << 31) - 1
# `tokenizers` looks up what is shown as one character where it has fewer bytes than 6, and else
# each code point; it takes the shortest key that matches.
LONGEST_KEY = 5
# SentencePiece's own tables have 6,000 keys that can be looked up.
MOST_KEYS = 100_000


def parse(charsmap: bytes) -> dict[str, str]:
    """Read the keys that `tokenizers` can look up, with what replaces them.

    Those are the keys of at most 5 bytes of which no beginning is a key itself: 5,512 of the
    224,711 of XLM-R.

    Raises:
        UserError: The content is damaged.
    """
    size = int.from_bytes(charsmap[:4], "little")
    outcomes = charsmap[4 + size :]
    if not size or size % (4 * BLOCK) or len(charsmap) < 4 + size or outcomes[-1:] not in b"\0":
        raise _damaged(f"{len(charsmap)} bytes, of which {size} should be its array")
    units = np.frombuffer(charsmap, "<u4", size // 4, offset=4).astype(np.int64)
    children = _children(units)
    # As in Darts-clone: the distance of a unit to where its children begin.
    targets = np.arange(len(units)) ^ ((units >> 10) << ((units & (1 << 9)) >> 6))
    found: dict[str, str] = {}
    level = [(b"", 0)]
    for _ in range(LONGEST_KEY):
        deeper = []
        for start, unit in level:
            for label, child in children.get(int(targets[unit]), ()):
                key = start + bytes([label])
                if not units[child] & HAS_LEAF:
                    deeper.append((key, child))
                elif targets[child] >= len(units):
                    raise _damaged(f"the key {key!r} leads out of its array")
                else:
                    value = int(units[targets[child]]) & VALUE
                    found[_decode(key)] = _outcome(outcomes, value)
        level = deeper
        if len(level) + len(found) > MOST_KEYS:
            raise _damaged(f"more than {MOST_KEYS:,} keys")
    return found


def build(charsmap: Mapping[str, str]) -> bytes:
    """Write a table from which `parse` and `tokenizers` read these replacements.

    Raises:
        UserError: A key or an outcome cannot be written.
    """
    for key, outcome in charsmap.items():
        if not key or "\0" in key + outcome:
            raise UserError(
                "A replacement of the tokenizer's normalisation cannot be written to a file.",
                f"{key!r} by {outcome!r}",
                "Leave it out: a key has a character or more, and none is U+0000.",
            )
    places: dict[str, int] = {}
    end = 0
    for outcome in charsmap.values():
        if outcome not in places:
            places[outcome] = end
            end += len(outcome.encode()) + 1
    units = _place({key.encode(): places[outcome] for key, outcome in charsmap.items()})
    array = units.astype("<u4").tobytes()
    return len(array).to_bytes(4, "little") + array + b"".join(o.encode() + b"\0" for o in places)


def _children(units: npt.NDArray[np.int64]) -> dict[int, list[tuple[int, int]]]:
    """Labels and units of the children, by the place from which their labels count."""
    labels = units & (1 << 31 | 0xFF)
    children: dict[int, list[tuple[int, int]]] = {}
    for unit in np.flatnonzero((labels > 0) & (labels < 256)).tolist():
        label = int(labels[unit])
        children.setdefault(unit ^ label, []).append((label, unit))
    return children


def _place(values: dict[bytes, int]) -> npt.NDArray[np.int64]:
    """The units of a double array of these keys."""
    # By the beginning of a key: the bytes that may follow; 0 stands for its end.
    nodes: dict[bytes, set[int]] = {b"": set()}
    for key in values:
        for i, byte in enumerate(key):
            nodes.setdefault(key[:i], set()).add(byte)
        nodes.setdefault(key, set()).add(0)
    free = [False] + [True] * (BLOCK - 1)
    starts: dict[bytes, int] = {}
    used: set[int] = set()
    first = 0
    # The widest first, each at the first place where it fits, of the last few blocks.
    for node in sorted(nodes, key=lambda node: -len(nodes[node])):
        labels = sorted(nodes[node]) or [0]
        first = max(first, len(free) - SEARCHED)
        while first < len(free) and not free[first]:
            first += 1
        place = first
        while True:
            if place == len(free):
                free += [True] * BLOCK
            start = place ^ labels[0]
            if free[place] and start not in used and all(free[start ^ label] for label in labels):
                break
            place += 1
        starts[node] = start
        used.add(start)
        for label in labels:
            free[start ^ label] = False
    units = np.zeros(len(free), np.int64)
    for node, start in starts.items():
        at, label = (starts[node[:-1]] ^ node[-1], node[-1]) if node else (0, 0)
        units[at] = (at ^ start) << 10 | label
        if node in values:
            units[at] |= HAS_LEAF
            units[start] = values[node] | 1 << 31
    return units


def _decode(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise _damaged(f"{content[:20]!r} is not UTF-8") from error


def _outcome(outcomes: bytes, place: int) -> str:
    if place >= len(outcomes):
        raise _damaged(f"an outcome at byte {place} of {len(outcomes)}")
    return _decode(outcomes[place : outcomes.index(b"\0", place)])


def _damaged(found: str) -> UserError:
    return UserError(
        "The table of the tokenizer's normalisation (precompiled_charsmap) is damaged.",
        found,
        "Download the tokenizer's files again.",
    )
