"""Runs `python -m serving.client` in this process, for the tests of its verbs."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from typing import Any

from serving.client.cli.main import main


def run_client(*argv: str, stdin: bytes = b"") -> tuple[int, str, str]:
    """(exit status, standard output, standard error) of one command."""
    out, err, before = io.StringIO(), io.StringIO(), sys.stdin
    sys.stdin = io.TextIOWrapper(io.BytesIO(stdin))
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = main(list(argv))
    finally:
        sys.stdin = before
    # A server in this process may log there too, one JSON object a request.
    lines = [line for line in err.getvalue().splitlines(True) if not line.startswith('{"time"')]
    return status, out.getvalue(), "".join(lines)


def ask_client(*argv: str, stdin: bytes = b"") -> list[Any]:
    """The objects that a command prints with --json; it must succeed."""
    status, out, err = run_client(*argv, "--json", stdin=stdin)
    assert status == 0, err
    return [json.loads(line) for line in out.splitlines()]
