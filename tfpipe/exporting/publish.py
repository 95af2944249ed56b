"""Version folders of a served model: the next number."""

from __future__ import annotations

from pathlib import Path

from tfpipe.errors import UserError


def next_version(folder: Path, version: int | None) -> Path:
    """FOLDER/NAME/N for a new version; raises UserError when it exists."""
    taken = []
    if folder.is_dir():
        taken = [int(child.name) for child in folder.iterdir() if child.name.isdecimal()]
    if version is not None and version in taken:
        raise UserError(
            "this version exists",
            f"{folder / str(version)}",
            "leave out --version for the next number",
        )
    number = max(taken, default=0) + 1 if version is None else version
    return folder / str(number)
