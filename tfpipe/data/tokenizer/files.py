"""Reading and writing of a tokenizer's files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tfpipe.errors import UserError

# The largest known tokenizer.json, of a million pieces, has 35 MB.
MOST_BYTES = 1 << 28


def read_json(path: Path, parse_float: Callable[[str], float] = float) -> dict[str, Any]:
    """Return the object in a JSON file, empty where there is no file.

    Raises:
        UserError: The file is no JSON object, or much larger than any tokenizer's.
    """
    if not path.exists():
        return {}
    try:
        content = json.loads(read_text(path), parse_float=parse_float)
    except (ValueError, RecursionError) as error:
        raise UserError(
            f"{path} cannot be read as JSON.", str(error), "Restore the file."
        ) from error
    if not isinstance(content, dict):
        raise UserError(f"{path} is no JSON object.", type(content).__name__, "Restore the file.")
    return content


def read_text(path: Path) -> str:
    """Return the text of a file in UTF-8, its line ends as LF; raises UserError where it is not."""
    check_size(path)
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8.", str(error), "Restore the file.") from error


def check_size(path: Path) -> None:
    """Raise UserError where a file is much larger than any tokenizer's."""
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise UserError(
            f"{path} is too large to be a tokenizer's file.",
            f"{size:,} bytes, and at most {MOST_BYTES:,} are read",
            "Restore the file.",
        )


def write_json(path: Path, content: dict[str, Any], indent: int | None = 2) -> None:
    """Write an object as JSON, complete or not at all."""
    write_text(path, json.dumps(content, indent=indent, ensure_ascii=False))


def write_text(path: Path, content: str) -> None:
    """Write a text as UTF-8, complete or not at all."""
    aside = path.with_name(path.name + ".tmp")
    # Tokens keep their line ends on every system.
    with aside.open("w", encoding="utf-8", newline="\n") as file:
        file.write(content)
    aside.replace(path)


def describe_added(token: str, number: int, lstrip: bool = False) -> dict[str, Any]:
    """Return the entry of a special token in tokenizer.json."""
    return {
        "id": number,
        "content": token,
        "single_word": False,
        "lstrip": lstrip,
        "rstrip": False,
        "normalized": False,
        "special": True,
    }
