"""Keys that are next to each other, and letters that look alike."""

from __future__ import annotations

from collections.abc import Mapping

ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")


def _neighbours() -> Mapping[str, str]:
    """Return the keys around each letter of a QWERTY keyboard, whose rows are half a key apart."""
    places = {
        key: (2 * column + row, row)
        for row, keys in enumerate(ROWS)
        for column, key in enumerate(keys)
    }
    return {
        key: "".join(
            other
            for other, (x, y) in places.items()
            if other != key and abs(x - place[0]) <= 2 and abs(y - place[1]) <= 1
        )
        for key, place in places.items()
    }


KEYS = _neighbours()

# Letters of other scripts that most fonts draw like these.
HOMOGLYPHS: Mapping[str, str] = dict(
    zip("aceopxyijsABCEHIKMOPTX", "асеорхуіјѕАВСЕНІКМОРТХ", strict=True)
)
