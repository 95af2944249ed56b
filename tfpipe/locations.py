"""Recognition of a path's kind: run, export, model folder, object store, file."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tfpipe.errors import UserError, did_you_mean
from tfpipe.text_display import list_few

SAVED_MODEL = "saved_model.pb"
# The first identifies a run; the others may be left of a damaged one.
RUN_FILES = ("config.yaml", "metrics.json", "data.json")
MODEL_FILE = "config.json"

Kind = Literal["run", "export", "model", "store", "file", "folder", "missing"]


@dataclass(frozen=True)
class Location:
    """A path with its kind.

    Attributes:
        kind: `run`; `export` (a SavedModel); `model` (a transformers folder); `store` (a URL);
            `file`; `folder` (none of these); `missing`.
        path: The given path or URL; of a folder of versions, that of its highest version.
        version: The number of that version where `path` was found by it.
    """

    kind: Kind
    path: str
    version: int | None = None

    @property
    def folder(self) -> Path:
        """The path."""
        return Path(self.path)

    @property
    def description(self) -> str:
        """The kind, for messages."""
        if self.kind == "folder":
            names = sorted(child.name for child in self.folder.iterdir())
            return f"a folder with {list_few(names, show=str)}" if names else "an empty folder"
        return {
            "run": "a run",
            "export": f"version {self.version} of an export" if self.version else "an export",
            "model": "the folder of a model, without a run",
            "store": "a URL in an object store",
            "file": "a file",
            "missing": "missing",
        }[self.kind]

    @property
    def suggestion(self) -> str:
        """`did you mean ...? ` for a misspelt name, else an empty text."""
        parent = self.folder.parent
        siblings = [child.name for child in parent.iterdir()] if parent.is_dir() else []
        return did_you_mean(self.folder.name, siblings)


def locate(path: str) -> Location:
    """Recognise a path or URL; of a folder of versions the highest complete one is taken."""
    place = Path(path)
    if is_url(path):
        return Location("store", path)
    if not place.is_dir():
        return Location("file" if place.is_file() else "missing", path)
    if (place / SAVED_MODEL).is_file():
        return Location("export", path)
    if (place / RUN_FILES[0]).is_file():
        return Location("run", path)
    complete = {n: at for n, at in list_versions(place).items() if (at / SAVED_MODEL).is_file()}
    if complete:
        return Location("export", str(complete[max(complete)]), max(complete))
    if any((place / name).is_file() for name in RUN_FILES):
        return Location("run", path)
    return Location("model" if (place / MODEL_FILE).is_file() else "folder", path)


def locate_model(path: str) -> Location:
    """Locate a run or an export; raises UserError for anything else."""
    found = locate(path)
    if found.kind == "missing":
        raise UserError(
            "the folder of the model is missing",
            path,
            f"{found.suggestion}give the folder of a run or an export",
        )
    if found.kind not in ("run", "export"):
        raise UserError(
            "the folder is neither a run nor an export",
            f"{path}: {found.description}",
            f"give a folder with {RUN_FILES[0]} (a run), or with {SAVED_MODEL} or versions of it",
        )
    return found


def is_url(path: str) -> bool:
    """Return whether a path is a URL, such as gs://bucket/name."""
    return "://" in path


def list_versions(base: Path) -> dict[int, Path]:
    """Return the folders with a number for a name in FOLDER/NAME by ascending number."""
    if not base.is_dir():
        return {}
    names = (child.name for child in base.iterdir())
    numbers = {int(name): base / name for name in names if name.isascii() and name.isdecimal()}
    return dict(sorted(numbers.items()))


def cache_folder() -> Path:
    """Return the folder TFPIPE_CACHE, by default tfpipe in XDG_CACHE_HOME; it may not exist."""
    named = os.environ.get("TFPIPE_CACHE")
    if named:
        return Path(named)
    shared = Path(os.environ.get("XDG_CACHE_HOME", ""))
    try:
        # As its specification has it, a relative path is ignored.
        return (shared if shared.is_absolute() else Path.home() / ".cache") / "tfpipe"
    except RuntimeError:
        # A user without a home: no folder can be made below this path, so nothing is cached.
        return Path(os.devnull) / "tfpipe"
