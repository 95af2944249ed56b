"""Answers as lines of a .tsv, .csv or .jsonl file, each also gzipped."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from tfpipe.data.streaming import Window
from tfpipe.data.tabular import split_ending
from tfpipe.errors import UserError
from tfpipe.tasks.output_schema import Answers, OutputSchema

FORMATS = (".tsv", ".csv", ".jsonl")
DECIMALS = 6
Value: TypeAlias = "str | int | float"
# A TSV whose header has no quotes knows no way to write them.
SPACES = str.maketrans("\t\n\r", "   ")


@dataclass(frozen=True)
class AnswerWriter:
    """How answers are written: the model's inputs, the answer, and with `scores` all scores.

    ending: without .gz; inputs: names of a row's texts; label_names: of the columns of scores,
    where these are labels' and not entities'. All in one go or in parts, the same bytes follow
    from it.
    """

    ending: str
    zipped: bool
    inputs: Sequence[str]
    schema: OutputSchema
    scores: bool
    label_names: Sequence[str] | None

    def header(self) -> bytes:
        """What the file begins with."""
        if self.ending == ".jsonl":
            return b""
        names = [*self.inputs, *self.schema.columns]
        if self.scores and self.schema.scores_of == "label":
            names += [f"score.{name}" for name in self.label_names or ()]
        elif self.scores:
            names.append("scores")
        return self._pack([self._join(names)])

    def rows(self, window: Window, answers: Answers) -> bytes:
        """The lines of a window."""
        columns = [window.texts, *([window.text_pairs] if window.text_pairs is not None else [])]
        texts = zip(*columns, strict=True)
        scores = answers["scores"].tolist() if self.scores else [()] * len(window)
        found = zip(*(answers[name].tolist() for name in self.schema.columns), strict=True)
        rows = zip(texts, found, scores, strict=True)
        write = self._as_json if self.ending == ".jsonl" else self._as_fields
        return self._pack([write(*row) for row in rows])

    def _as_json(
        self, texts: Sequence[str], answer: Sequence[Value], scores: Sequence[float]
    ) -> str:
        row: dict[str, object] = dict(zip(self.inputs, texts, strict=True))
        values = (round(v, DECIMALS) if isinstance(v, float) else v for v in answer)
        row |= zip(self.schema.columns, values, strict=True)
        if self.scores:
            row["scores"] = [round(score, DECIMALS) for score in scores]
        return json.dumps(row, ensure_ascii=False)

    def _as_fields(
        self, texts: Sequence[str], answer: Sequence[Value], scores: Sequence[float]
    ) -> str:
        fields: Iterable[Value] = (*texts, *answer)
        if self.schema.scores_of == "label":
            fields = (*fields, *scores)
        elif self.scores:
            # Rows have different numbers of entities.
            fields = (*fields, json.dumps([round(score, DECIMALS) for score in scores]))
        return self._join([f"{v:.{DECIMALS}f}" if isinstance(v, float) else str(v) for v in fields])

    def _join(self, fields: Sequence[str]) -> str:
        if self.ending == ".tsv":
            return "\t".join(field.translate(SPACES) for field in fields)
        return ",".join(map(_quote, fields))

    def _pack(self, lines: list[str]) -> bytes:
        content = "".join(line + "\n" for line in lines).encode()
        # Gzipped parts one after another are a gzip file; a time in them would make bytes differ.
        return gzip.compress(content, mtime=0) if self.zipped else content


def make_writer(
    out: Path,
    inputs: Sequence[str],
    schema: OutputSchema,
    scores: bool,
    label_names: Sequence[str] | None,
) -> AnswerWriter:
    """The table for a file of this name; raises UserError where scores have no names, or are none.

    inputs: names of a row's texts; schema: of the model that answers.
    """
    ending, zipped = split_name(out)
    if scores and schema.scores_of is None:
        raise UserError(
            "the model has no scores beside what is written anyway",
            f"--scores, for answers of {', '.join(schema.columns)}",
            "leave out --scores",
        )
    if scores and schema.scores_of == "label" and label_names is None and ending != ".jsonl":
        raise UserError(
            "the model does not tell the names of its labels, which --scores needs as columns",
            f"--out {out}, a model without an `info` signature",
            "write a .jsonl file, or leave out --scores",
        )
    return AnswerWriter(ending, zipped, inputs, schema, scores, label_names)


def split_name(out: Path) -> tuple[str, bool]:
    """The ending that says what is written, and whether it is gzipped; raises UserError."""
    ending, zipped = split_ending(out)
    if ending not in FORMATS:
        raise UserError(
            "the ending of --out names no format that can be written",
            str(out),
            f"name it {', '.join(FORMATS)}, or one of these with .gz",
        )
    return ending, zipped


def _quote(field: str) -> str:
    if any(special in field for special in ',"\r\n'):
        return '"' + field.replace('"', '""') + '"'
    return field
