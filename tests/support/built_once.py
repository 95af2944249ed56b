"""Folders that are built once: for all workers of a test session and for later sessions.

They lie below pytest's cache, in a folder whose name is a hash of what they depend on.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import importlib.metadata
import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".pytest_cache" / "built"
SOURCES = ("tfpipe", "serving")
BUILDERS = ("data.py", "runs.py", "exports.py", "indexes.py", "multilingual.py")
# A folder with this file is complete; the file lists what was built.
LISTING = ".built.json"

_used: set[Path] = set()


def build_once(name: str, build: Callable[[Path], None]) -> Path:
    """Return a folder that `build` fills where no test session has filled it before.

    The folder's files are for reading; tests that change them copy them.

    Args:
        name: Name of the folder.
        build: Function that fills an empty folder.
    """
    folder = _session_folder() / name
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if changed_files(folder):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            build(folder)
            (folder / LISTING).write_text(json.dumps(_list_files(folder)), encoding="utf-8")
    _used.add(folder)
    return folder


def changed_files(folder: Path) -> list[str]:
    """Return the files that are not as they were built; the listing where it is missing."""
    try:
        built = json.loads((folder / LISTING).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return [LISTING]
    found = _list_files(folder)
    return sorted(name for name in built | found if built.get(name) != found.get(name))


def check_used_folders() -> None:
    """Fail where a folder that this process has used is not as it was built."""
    changed = {folder.name: names for folder in _used if (names := changed_files(folder))}
    assert not changed, f"tests changed shared files: {changed}"


def _list_files(folder: Path) -> dict[str, list[int]]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != LISTING)
    stats = {path.relative_to(folder).as_posix(): path.stat() for path in files}
    return {name: [stat.st_size, stat.st_mtime_ns] for name, stat in stats.items()}


@functools.cache
def _session_folder() -> Path:
    """Return the folder of these sources, locked against removal; removes those of others."""
    CACHE.mkdir(parents=True, exist_ok=True)
    folder = CACHE / _hash_of_sources()
    with (CACHE / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder.mkdir(exist_ok=True)
        # Open until this process ends.
        fcntl.flock(os.open(folder, os.O_RDONLY), fcntl.LOCK_SH)
        for other in CACHE.iterdir():
            if other.is_dir() and other != folder:
                _remove_unused(other)
    return folder


def _remove_unused(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    except BlockingIOError:
        # Another test session uses it.
        pass
    finally:
        os.close(handle)


def _hash_of_sources() -> str:
    """Return a hash of the sources, the versions of the libraries and the place of the checkout."""
    versions = [importlib.metadata.version(name) for name in ("tensorflow", "transformers")]
    digest = hashlib.sha256(json.dumps([str(ROOT), sys.version, *versions]).encode())
    sources = sorted(path for top in SOURCES for path in (ROOT / top).rglob("*.py"))
    for path in [*sources, *(Path(__file__).parent / name for name in BUILDERS)]:
        digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:16]
