"""Answers as lines of a .tsv, .csv or .jsonl file, each also gzipped."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tfpipe.data.windows import Window
from tfpipe.errors import UserError
from tfpipe.predicting.answerer import Answers

FORMATS = (".tsv", ".csv", ".jsonl")
DECIMALS = 6
# A TSV whose header has no quotes knows no way to write them.
SPACES = str.maketrans("\t\n\r", "   ")


@dataclass(frozen=True)
class Table:
    """How answers are written: text (text_pair), label, score, and with `scores` all of them.

    kind: the ending without .gz. All in one go or in parts, the same bytes follow from it.
    """

    kind: str
    zipped: bool
    pairs: bool
    scores: bool
    label_names: Sequence[str] | None

    def header(self) -> bytes:
        """What the file begins with."""
        if self.kind == ".jsonl":
            return b""
        names = ["text", *(["text_pair"] if self.pairs else []), "label", "score"]
        if self.scores:
            names += [f"score.{name}" for name in self.label_names or ()]
        return self._pack([self._join(names)])

    def rows(self, window: Window, answers: Answers) -> bytes:
        """The lines of a window."""
        pairs: Iterable[str | None] = window.text_pairs or [None] * len(window)
        scores = answers["scores"].tolist() if self.scores else [()] * len(window)
        columns = (window.texts, pairs, answers["label"], answers["score"].tolist(), scores)
        rows = zip(*columns, strict=True)
        write = self._as_json if self.kind == ".jsonl" else self._as_fields
        return self._pack([write(*row) for row in rows])

    def _as_json(
        self, text: str, pair: str | None, label: str, score: float, scores: Sequence[float]
    ) -> str:
        row: dict[str, object] = {"text": text}
        if pair is not None:
            row["text_pair"] = pair
        row |= {"label": label, "score": round(score, DECIMALS)}
        if self.scores:
            row["scores"] = [round(score, DECIMALS) for score in scores]
        return json.dumps(row, ensure_ascii=False)

    def _as_fields(
        self, text: str, pair: str | None, label: str, score: float, scores: Sequence[float]
    ) -> str:
        texts = [text, label] if pair is None else [text, pair, label]
        return self._join([*texts, *(f"{score:.{DECIMALS}f}" for score in (score, *scores))])

    def _join(self, fields: Sequence[str]) -> str:
        if self.kind == ".tsv":
            return "\t".join(field.translate(SPACES) for field in fields)
        return ",".join(map(_quote, fields))

    def _pack(self, lines: list[str]) -> bytes:
        content = "".join(line + "\n" for line in lines).encode()
        # Gzipped parts one after another are a gzip file; a time in them would make bytes differ.
        return gzip.compress(content, mtime=0) if self.zipped else content


def make_table(out: Path, pairs: bool, scores: bool, label_names: Sequence[str] | None) -> Table:
    """The table for a file of this name; raises UserError where scores would have no names."""
    kind, zipped = split_name(out)
    if scores and label_names is None and kind != ".jsonl":
        raise UserError(
            "the model does not tell the names of its labels, which --scores needs as columns",
            f"--out {out}, a model without an `info` signature",
            "write a .jsonl file, or leave out --scores",
        )
    return Table(kind, zipped, pairs, scores, label_names)


def split_name(out: Path) -> tuple[str, bool]:
    """The ending that says what is written, and whether it is gzipped; raises UserError."""
    suffixes = [suffix.lower() for suffix in out.suffixes]
    zipped = suffixes[-1:] == [".gz"]
    kind = "".join(suffixes[-2:-1] if zipped else suffixes[-1:])
    if kind not in FORMATS:
        raise UserError(
            "the ending of --out names no format that can be written",
            str(out),
            f"name it {', '.join(FORMATS)}, or one of these with .gz",
        )
    return kind, zipped


def _quote(field: str) -> str:
    if any(special in field for special in ',"\r\n'):
        return '"' + field.replace('"', '""') + '"'
    return field
