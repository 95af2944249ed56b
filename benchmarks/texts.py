"""Reading of the texts of the benchmarks."""

from __future__ import annotations

from pathlib import Path


def read_texts(data: str) -> list[str]:
    """Read the first column of a tab-separated file with a header."""
    lines = Path(data).read_text(encoding="utf-8").split("\n")[1:]
    return [line.split("\t")[0] for line in lines if line]
