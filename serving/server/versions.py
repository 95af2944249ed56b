"""The version folders under a model's base path."""

from __future__ import annotations

import re
from pathlib import Path

from serving.server.errors import StartError

INT64 = range(-(2**63), 2**63)


def list_versions(base_path: Path) -> dict[int, Path]:
    """Folders named by an int64, by number; other names are ignored. Raises OSError."""
    found = {}
    for folder in sorted(base_path.iterdir()):
        if re.fullmatch(r"-?[0-9]+", folder.name) and folder.is_dir():
            number = int(folder.name)
            if number in INT64:
                found[number] = folder
    return found


def check_base_path(base_path: Path) -> None:
    """Raise a StartError when there is nothing to serve; reads no model."""
    example = f"{base_path / '1' / 'saved_model.pb'}"
    try:
        versions = list_versions(base_path)
        names = sorted(child.name for child in base_path.iterdir())
    except OSError as error:
        raise StartError(
            "The model's base path cannot be read.",
            f"{base_path}: {error.strerror}",
            f"give the folder that holds the numbered versions, as in {example}",
        ) from None
    if versions:
        return
    if "saved_model.pb" in names:
        raise StartError(
            "The base path is a version, not the folder of the versions.",
            f"{base_path / 'saved_model.pb'}",
            f"give its parent and name the folder by a number, as in {example}",
        )
    raise StartError(
        "The model's base path has no version to serve.",
        f"{base_path} holds {', '.join(names[:5]) or 'nothing'}",
        f"export a model into it, as in {example}",
    )


def fingerprint(folder: Path) -> frozenset[tuple[str, int, int]]:
    """Name, size and time of every file, to see whether a version was touched since."""
    files = set()
    for path in folder.rglob("*"):
        try:
            state = path.stat()
        except OSError:
            continue
        files.add((str(path.relative_to(folder)), state.st_size, state.st_mtime_ns))
    return frozenset(files)
