"""Where a model lies: in a run's folder or in an export's."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tfpipe.errors import UserError, did_you_mean

SAVED_MODEL = "saved_model.pb"


@dataclass(frozen=True)
class Place:
    """The folder of a run, or of one version of an export."""

    folder: Path
    is_export: bool


def find_place(folder: str) -> Place:
    """What the folder holds; of a served name's folder, its highest version.

    Raises UserError for a folder that is neither a run nor an export.
    """
    path = Path(folder)
    if (path / SAVED_MODEL).is_file():
        return Place(path, is_export=True)
    if (path / "config.yaml").is_file():
        return Place(path, is_export=False)
    if not path.is_dir():
        siblings = [child.name for child in path.parent.iterdir()] if path.parent.is_dir() else []
        raise UserError(
            "the folder of the model is missing",
            folder,
            f"{did_you_mean(path.name, siblings)}give the folder of a run or an export",
        )
    numbered = [child for child in path.iterdir() if child.name.isdecimal()]
    versions = [child for child in numbered if (child / SAVED_MODEL).is_file()]
    if not versions:
        held = sorted(child.name for child in path.iterdir())[:10]
        raise UserError(
            "the folder is neither a run nor an export",
            f"{folder}: {', '.join(held) or 'empty'}",
            "give a folder with config.yaml (a run), with saved_model.pb, or with such in a number",
        )
    return Place(max(versions, key=lambda child: int(child.name)), is_export=True)


def hash_files(files: Iterable[Path]) -> str:
    """SHA-256 (hex) over the names and contents of files."""
    digest = hashlib.sha256()
    for file in sorted(files):
        inner = hashlib.sha256()
        with file.open("rb") as content:
            while block := content.read(2**20):
                inner.update(block)
        digest.update(f"{file.name}\0{inner.hexdigest()}\n".encode())
    return digest.hexdigest()
