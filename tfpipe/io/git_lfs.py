"""Pointers of Git LFS: small text files that stand for large ones that were not fetched."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

from tfpipe.errors import UserError

# A pointer has less than 1024 bytes; older ones name another host.
POINTER = re.compile(rb"version https://[\w.-]+/spec/v\d+\r?\n(?:.*\n)*?oid \w+:\w+\r?\n")
SIZE = re.compile(rb"^size (\d+)", re.MULTILINE)
LONGEST = 1024


def refuse_pointer(path: str | Path, head: bytes) -> None:
    """Raise UserError where the beginning of a file, or more of it, is a pointer of Git LFS."""
    if not POINTER.match(head[:LONGEST]):
        return
    size = SIZE.search(head[:LONGEST])
    stands = f" for {int(size[1]):,} bytes" if size else ""
    raise UserError(
        "the file is a pointer of Git LFS, not the content that it stands for",
        f"{path}: a pointer{stands}",
        "run `git lfs pull` in the repository that it comes from (git-lfs must be installed), and"
        " give the file that it fetches",
    )


def refuse_pointers_in(folder: Path) -> None:
    """Raise UserError where a file of a folder is a pointer; what cannot be read is none."""
    for path in sorted(folder.glob("*")):
        with suppress(OSError):
            if path.is_file() and path.stat().st_size < LONGEST:
                refuse_pointer(path, path.read_bytes())
