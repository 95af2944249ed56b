"""Writers of answers: .tsv, .csv or .jsonl, each also gzipped."""

from __future__ import annotations

import codecs
import gzip
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from tfpipe.data.streaming import Window
from tfpipe.data.tabular import split_ending
from tfpipe.data.values import written
from tfpipe.errors import UserError
from tfpipe.tasks.output_schema import Answers, OutputSchema

FORMATS = (".tsv", ".csv", ".jsonl")
DECIMALS = 6
Value: TypeAlias = "str | int | float"
# TSV without quotes has no escape for these characters.
SPACES = str.maketrans("\t\n\r", "   ")
SECOND = ("second", "second_score")


@dataclass(frozen=True)
class Extras:
    """What a file of answers has beside the texts and the answers.

    Attributes:
        kept: Names of the columns of the data file that are kept.
        second: Whether the label with the second highest score is written, and that score.
        excel: Whether a .csv begins with a byte order mark.
    """

    kept: Sequence[str] = ()
    second: bool = False
    excel: bool = False


@dataclass(frozen=True)
class AnswerWriter:
    """Formats answers: the model's inputs, the answer, and with `scores` all scores.

    The bytes are the same whether windows are written by one process or by several in turn.

    Attributes:
        ending: Of the file, without .gz.
        zipped: Whether it is gzipped.
        inputs: Names of a row's texts.
        schema: Output columns of the model.
        scores: Whether all scores are written.
        label_names: Names of the columns of scores, where scores are per label, not per entity.
        extras: Further columns.
    """

    ending: str
    zipped: bool
    inputs: Sequence[str]
    schema: OutputSchema
    scores: bool
    label_names: Sequence[str] | None
    extras: Extras = Extras()

    @property
    def columns(self) -> list[str]:
        """Names of the kept columns, the texts and the answer; kept ones give way to others."""
        second = SECOND if self.extras.second else ()
        names = [*self.inputs, *self.schema.columns, *second]
        taken = {*names, "scores"}
        return [*(f"data.{n}" if n in taken else n for n in self.extras.kept), *names]

    def header(self) -> bytes:
        """Return the header line; empty for .jsonl."""
        if self.ending == ".jsonl":
            return b""
        names = self.columns
        if self.scores and self.schema.scores_of == "label":
            names += [f"score.{name}" for name in self.label_names or ()]
        elif self.scores:
            names.append("scores")
        mark = codecs.BOM_UTF8.decode() if self.extras.excel else ""
        return self._pack([mark + self._join(names)])

    def rows(self, window: Window, answers: Answers) -> bytes:
        """Return the lines of a window."""
        columns = [window.texts, *([window.text_pairs] if window.text_pairs is not None else [])]
        found = [answers[name].tolist() for name in self.schema.columns]
        if self.extras.second:
            found += self._second(answers["scores"])
        rows: Iterable[tuple[Any, ...]] = zip(*columns, *found, strict=True)
        if self.extras.kept:
            rows = ((*kept, *row) for kept, row in zip(window.kept, rows, strict=True))
        scores = answers["scores"].tolist() if self.scores else [()] * len(window)
        write = self._as_json if self.ending == ".jsonl" else self._as_fields
        return self._pack([write(row, one) for row, one in zip(rows, scores, strict=True)])

    def _second(self, scores: np.ndarray) -> list[list[Any]]:
        """Return the labels with the second highest scores, and these scores."""
        assert self.label_names is not None
        second = np.argsort(-scores, axis=1, kind="stable")[:, 1]
        names = [self.label_names[column] for column in second.tolist()]
        return [names, scores[np.arange(len(scores)), second].tolist()]

    def _as_json(self, row: Sequence[Any], scores: Sequence[float]) -> str:
        kept = len(self.extras.kept)
        values = (round(v, DECIMALS) if isinstance(v, float) else v for v in row[kept:])
        record = dict(zip(self.columns, [*row[:kept], *values], strict=True))
        if self.scores:
            rounded = [round(score, DECIMALS) for score in scores]
            named = self.schema.scores_of == "label" and self.label_names is not None
            record["scores"] = (
                dict(zip(self.label_names or (), rounded, strict=True)) if named else rounded
            )
        return json.dumps(record, ensure_ascii=False, default=str)

    def _as_fields(self, row: Sequence[Any], scores: Sequence[float]) -> str:
        kept = len(self.extras.kept)
        fields: Iterable[Value] = (*map(written, row[:kept]), *row[kept:])
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
        # Concatenated gzip parts are a gzip file; a time stamp in them would make the bytes differ.
        return gzip.compress(content, mtime=0) if self.zipped else content


def make_writer(
    out: Path,
    inputs: Sequence[str],
    schema: OutputSchema,
    scores: bool,
    label_names: Sequence[str] | None,
    extras: Extras = Extras(),
) -> AnswerWriter:
    """Return the writer for a file of this name.

    Args:
        out: The file.
        inputs: Names of a row's texts.
        schema: Output columns of the model.
        scores: Whether all scores are to be written.
        label_names: Names of the columns of scores; None where the model does not give them.
        extras: Further columns.

    Raises:
        UserError: The format cannot be written, or the model has no scores, or no names for them.
    """
    ending, zipped = split_name(out)
    if extras.excel and ending != ".csv":
        raise UserError(
            "--excel is for .csv files", f"--out {out}", "name it .csv, or leave out --excel"
        )
    if extras.second and ("label" not in schema.outputs or len(label_names or ()) < 2):
        raise UserError(
            "the model has no second label",
            f"--second, for answers of {', '.join(schema.columns)}",
            "leave out --second",
        )
    if scores and schema.scores_of is None:
        raise UserError(
            "the model has no scores beside those that are always written",
            f"--scores, for answers of {', '.join(schema.columns)}",
            "leave out --scores",
        )
    if scores and schema.scores_of == "label" and label_names is None and ending != ".jsonl":
        raise UserError(
            "the model does not give the names of its labels, which --scores needs as columns",
            f"--out {out}, a model without an `info` signature",
            "write a .jsonl file, or leave out --scores",
        )
    return AnswerWriter(ending, zipped, inputs, schema, scores, label_names, extras)


def split_name(out: Path) -> tuple[str, bool]:
    """Return the ending without .gz, and whether it is gzipped; raises UserError for others."""
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
