"""Folders of tfpipe: the cache."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """Return the folder TFPIPE_CACHE, by default ~/.cache/tfpipe; it may not exist."""
    try:
        return Path(os.environ.get("TFPIPE_CACHE") or Path.home() / ".cache" / "tfpipe")
    except RuntimeError:
        # A user without a home: no folder can be made below this one, so nothing is kept.
        return Path(os.devnull) / "tfpipe"


def list_versions(base: Path) -> dict[int, Path]:
    """Return the folders with a number for a name in FOLDER/NAME by ascending number."""
    if not base.is_dir():
        return {}
    names = (child.name for child in base.iterdir())
    numbers = {int(name): base / name for name in names if name.isascii() and name.isdecimal()}
    return dict(sorted(numbers.items()))
