"""Printing to a standard output whose encoding lacks some characters, such as GBK or ASCII."""

from __future__ import annotations

import io
import json
import sys
from contextlib import suppress

# Error handlers of streams that raise for a character.
RAISING = ("strict", "surrogateescape", "surrogatepass")


def replace_unencodable() -> None:
    """Have both standard streams print `?` for what their encoding lacks, instead of raising."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors in RAISING:
            # A stream that led to a file when it was opened, and to a pipe since, cannot be sought
            # in, which Python tries after it has changed the errors.
            with suppress(OSError):
                stream.reconfigure(errors="replace")


def json_line(value: object) -> str:
    """Format a value as JSON on one line, with escapes where standard output is not Unicode."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return json.dumps(value, ensure_ascii=not encoding.lower().startswith("utf"))
