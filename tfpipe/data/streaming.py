"""A data file's texts in windows of rows, as they are read: the file may exceed memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tfpipe.data.columns import find_columns
from tfpipe.data.examples import Columns, Examples
from tfpipe.data.read_examples import task_of_format
from tfpipe.data.rows import Rows, hold_rows
from tfpipe.data.splits import refuse_other_inputs
from tfpipe.data.tabular import open_rows
from tfpipe.data.token_columns import read_value
from tfpipe.data.unread_columns import note_unread
from tfpipe.data.values import as_text, show_few, written
from tfpipe.errors import UserError, did_you_mean

# Records of a .jsonl among which its columns must show.
LOOK_AHEAD = 1000
# A window ends early here, so that long texts fill no memory either.
WINDOW_CHARACTERS = 8_000_000


@dataclass(frozen=True)
class Window:
    """Texts of consecutive rows, or pairs of texts.

    Attributes:
        texts: The texts, or the first of each pair.
        text_pairs: The second ones; None for single texts.
        end: The number of rows read up to here.
        rows_sha256: SHA-256 (hex) over the texts of all these rows.
        share_read: Of the file, 0 to 1.
        kept: Other values of each row, in the order of `TextStream.kept`.
    """

    texts: list[str]
    text_pairs: list[str] | None
    end: int
    rows_sha256: str
    share_read: float
    kept: Sequence[Sequence[Any]] = ()

    def __len__(self) -> int:
        return len(self.texts)


class TextStream:
    """The texts of a data file; columns that are not named are found by their usual names.

    Windows depend on the content of the file alone, so that a second reading yields the same ones.
    The sentences of a .conll are rows of one text, the questions of SQuAD's .json rows of question
    and context; that one file is read whole, as JSON must be.

    Args:
        path: The file.
        columns: Names given by the user.
        answer_empty: Whether rows without a text are taken for an empty one.
        keep: Other columns to keep the values of: `id` (see `is_id`), `all`, `none`, or names with
            commas between them.

    Attributes:
        columns: The columns of texts.
        kept: Names of the other columns that are kept.

    Attributes:
        decisions: How the file is read where that is not evident: sentences without a full stop.

    Raises:
        UserError: The file cannot be read, or lacks a column.
    """

    def __init__(self, path: Path, columns: Columns, answer_empty: bool, keep: str = "none"):
        self.path, self._answer_empty = path, answer_empty
        self._opened, sample = _open(path, columns)
        header = self._opened.header
        self.columns = find_columns(self._opened, path, columns, None, sample=sample)
        names = (self.columns.text, self.columns.text_pair)
        self._places = [header.index(name) for name in names if name is not None]
        noted = note_unread(path, header, sample, self.columns, columns)
        self.decisions = [*self._opened.decisions, *noted]
        self.kept = _find_kept(path, header, [n for n in names if n], keep)
        self._kept_places = [header.index(name) for name in self.kept]
        self._end, self._digest = 0, hashlib.sha256()

    def read_single_texts(self) -> None:
        """Leave the column of second texts out; call it before anything is read."""
        self._places = self._places[:1]
        self.columns = replace(self.columns, text_pair=None)

    def refuse_other_inputs(self, inputs: Sequence[str]) -> None:
        """Raise UserError unless the rows have the texts that a model with these inputs reads."""
        pairs = len(inputs) > 1
        second = None if self.columns.text_pair is None else [""]
        if "context" in inputs and second is None:
            raise UserError(
                "the model reads questions with their contexts",
                f"{self.path}, only the column {self.columns.text!r}",
                "give SQuAD's .json, columns named question and context, or name them with --text"
                " and --text-pair",
            )
        refuse_other_inputs(Examples([""], second, None, str(self.path), self.columns), pairs)

    def skip(self, rows: int, rows_sha256: str) -> None:
        """Skip rows that were answered before.

        Raises:
            UserError: They are not the rows of this file.
        """
        while self._end < rows and (window := self._cut(min(1024, rows - self._end))):
            self._digest_rows(window)
        if self._end < rows or (rows and self._digest.hexdigest() != rows_sha256):
            raise UserError(
                "the data file is not the one that was begun with",
                f"{self.path}: its first {rows:,} rows are not those answered before",
                "restore the file, or give another --out",
            )

    def windows(self, most: int) -> Iterator[Window]:
        """Yield the following rows, at most `most` at once.

        Raises:
            UserError: A row cannot be read or answered; the message has its number (from 1, blank
                lines and header not counted) or its line.
        """
        while window := self._cut(most):
            self._digest_rows(window)
            width = len(self._places)
            columns = [[row[place] for row in window] for place in range(width)]
            kept = [row[width:] for row in window] if self.kept else ()
            pairs = columns[1] if columns[1:] else None
            share = self._opened.share_read()
            yield Window(columns[0], pairs, self._end, self._digest.hexdigest(), share, kept)

    def _cut(self, most: int) -> list[list[Any]]:
        """Read rows: the texts, and then the kept values."""
        window: list[list[Any]] = []
        missing: list[int] = []
        room = WINDOW_CHARACTERS
        while len(window) < most and room > 0:
            row = next(self._opened.rows, None)
            if row is None:
                break
            number = self._end + len(window) + 1
            try:
                values = [
                    as_text(read_value(self._opened.header[place], row[place])) or ""
                    for place in self._places
                ]
            except (TypeError, UnicodeError) as error:
                raise UserError(
                    "a value is not text",
                    f"{self.path}, row {number}: {error}",
                    "mend or remove the row",
                ) from None
            if not self._answer_empty and not all(map(str.strip, values)):
                missing.append(number)
            kept = [row[place] for place in self._kept_places]
            room -= sum(len(value) for value in (*values, *kept) if isinstance(value, str))
            window.append([*values, *kept])
        if missing:
            raise UserError(
                f"{len(missing)} rows have no text" if missing[1:] else "a row has no text",
                f"{self.path}, row {show_few(missing)}",
                "fill it in, remove the row, or add --answer-empty",
            )
        self._end += len(window)
        return window

    def _digest_rows(self, window: list[list[Any]]) -> None:
        contents = (written(value).encode() for row in window for value in row)
        self._digest.update(b"".join(len(c).to_bytes(8, "little") + c for c in contents))


def is_id(name: str) -> bool:
    """Return whether a column identifies rows, by its name: id, 编号, or one that ends in _id."""
    return name.lower() in ("id", "编号") or name.lower().endswith("_id")


def _find_kept(path: Path, header: Sequence[str], texts: Sequence[str], keep: str) -> list[str]:
    """Return the other columns to keep; raises UserError for names that the file lacks."""
    others = [name for name in dict.fromkeys(header) if name not in texts]
    if keep in ("all", "none", "id"):
        return [name for name in others if keep == "all" or (keep == "id" and is_id(name))]
    names = [name.strip() for name in keep.split(",") if name.strip()]
    for name in names:
        if name not in header:
            raise UserError(
                f"{path} has no column {name!r} to keep",
                f"columns {', '.join(map(repr, header[:20]))}",
                f"{did_you_mean(name, others)}correct --keep-columns",
            )
    return [name for name in dict.fromkeys(names) if name not in texts]


def _open(path: Path, columns: Columns) -> tuple[Rows, Sequence[Sequence[Any]]]:
    """Open a file; returns its rows and, where columns must be found, the first of them."""
    spec = task_of_format(path)
    if spec is None or spec.file_format is None:
        return hold_rows(open_rows(path, LOOK_AHEAD, columns))
    rows: Rows = spec.file_format.stream.load()(path)
    return rows, ()
