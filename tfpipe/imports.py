"""Imports that leave out packages which a library would import, but nothing here needs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_packages(*names: str) -> Iterator[None]:
    """Have Python take packages for not installed within a block; those imported before stay.

    Args:
        *names: Names of top-level packages.
    """
    hidden = [name for name in names if name not in sys.modules]
    # Python's documented way to prevent an import is None in place of the module.
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
