"""A small table of answers and its questions, and an index that is built once for all tests."""

from __future__ import annotations

from pathlib import Path

from tests.support.built_once import build_once
from tests.support.data import WORDS
from tests.support.exports import exported
from tfpipe.config import IndexConfig
from tfpipe.index import index

# One entry for each word that the tiny model knows.
NAMES = [word for words in WORDS.values() for word in words]
NOWHERE = [f"now today {filler} the" for filler in ("where", "is", "I", "want", "please", "!")]


def write_entries(path: Path, names: list[str] = NAMES) -> Path:
    """A TSV of entries: `id`, `question`, `answer`, and a column that is kept."""
    rows = [f"{name}-id\t{name} please\tAbout {name}.\tpage of {name}" for name in names]
    path.write_text("\n".join(["id\tquestion\tanswer\tsource", *rows]) + "\n", encoding="utf-8")
    return path


def write_questions(path: Path, unanswered: bool = True) -> Path:
    """A TSV of two questions for each entry, and of some that no entry answers."""
    rows = [(f"where is my {name} {end}", f"{name}-id") for name in NAMES for end in ("now", "?")]
    rows += [(text, "") for text in NOWHERE] if unanswered else []
    path.write_text("\n".join(["question\tid", *map("\t".join, rows)]) + "\n", encoding="utf-8")
    return path


def indexed() -> Path:
    """Return models/faq/1, an index over the export of the run `classify`; it is for reading."""

    def build(folder: Path) -> None:
        index(
            IndexConfig(
                run_or_export=str(exported("classify").folder),
                data=str(write_entries(folder / "faq.tsv")),
                tune=str(write_questions(folder / "questions.tsv")),
                to=str(folder / "models" / "faq"),
                top_k=3,
                measure_serving=False,
            )
        )

    return build_once("index", build) / "models" / "faq" / "1"
