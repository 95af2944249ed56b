"""The dialect of separated text: which separator, and whether fields are quoted."""

from __future__ import annotations

import csv
import itertools
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tfpipe.data.examples import Columns
from tfpipe.data.formats.column_kinds import kind_of
from tfpipe.data.formats.header import has_known_name
from tfpipe.data.formats.separated import SEPARATORS, Dialect, split_at_returns
from tfpipe.data.text_file import DataFile

# Excel's first line that names the separator.
NAMED_SEPARATOR = re.compile(r'"?sep=(.)"?\s*$', re.IGNORECASE)
QUOTED_NAME = re.compile(r'\s*".+"\s*\Z')
# A row of a TSV as writers quote it: quotes around a field, those in it doubled, no others.
AS_WRITTEN = re.compile(r'(?:(?:"(?:[^"]|"")*"|[^"\t]*)(?:\t|\Z))*\Z')
# A row of more characters than these is one where a quote was taken for the start of a field.
LONGEST_ROW = 2**22
MOSTLY = 0.9
SAMPLE = 200
FEWEST = 10


@dataclass
class Fit:
    """How well a file's rows fit a dialect.

    Attributes:
        width: Fields of the first row.
        rows: Number of rows after it.
        others: Those of them that have another width.
        broken: Whether the quoting breaks.
        stray: Rows with a quote that writers of quoted fields would not leave so.
    """

    width: int = 0
    rows: int = 0
    others: int = 0
    broken: bool = False
    stray: int = 0

    @property
    def is_table(self) -> bool:
        """Whether there are several columns in every row."""
        return self.width > 1 and self.others == 0 and not self.broken

    @property
    def share(self) -> float:
        """Share of the rows that are as wide as the first; 0 where that has one field."""
        if self.width < 2 or self.broken or not self.rows:
            return 0.0
        return 1 - self.others / self.rows


def find_dialect(file: DataFile, usual: str) -> tuple[Dialect, list[str]]:
    """Find how a file's fields are separated and quoted, from all of its rows.

    Args:
        file: The file, with a line that is not blank.
        usual: The separator that its name says: a comma or a tab.

    Returns:
        The dialect, and what was decided where it is not evident.
    """
    name = file.path.name
    place, first = next((i, line) for i, line in enumerate(file.lines(), 1) if line.strip())
    if named := NAMED_SEPARATOR.match(first):
        separators = SEPARATORS.get(named[1], repr(named[1]))
        decisions = [f"read {name} with {separators} between the fields, as its first line says"]
        return Dialect(named[1], named[1] != "\t", place + 1), decisions
    separator = _choose_separator(file, usual, first)
    decisions = []
    if separator != usual:
        decisions = [f"read {name} with {SEPARATORS[separator]} between the fields"]
    if separator != "\t" or usual != "\t":
        return Dialect(separator, True), decisions
    if all(map(QUOTED_NAME.match, first.rstrip("\r\n").split("\t"))):
        return Dialect(separator, True), decisions
    return _choose_quoting(file)


def _choose_separator(file: DataFile, usual: str, first: str) -> str:
    others = [one for one in SEPARATORS if one != usual and one in first]
    if not others:
        return usual
    fit = measure(file, Dialect(usual, usual != "\t"))
    if fit.is_table and _is_labelled(file, Dialect(usual, usual != "\t")):
        return usual
    fits = {one: measure(file, Dialect(one, True)) for one in others}
    tables = [one for one in others if fits[one].is_table]
    if fit.is_table:
        # Texts may happen to have as many commas each; labels between them are no accident.
        tables = [one for one in tables if _is_labelled(file, Dialect(one, True))]
    if tables or fit.is_table:
        return max(tables, key=lambda one: fits[one].width, default=usual)
    best = max(others, key=lambda one: fits[one].share)
    # With a row or two that are not as wide: the error about them is to be that of this separator.
    return best if fits[best].share >= MOSTLY > fit.share else usual


def _is_labelled(file: DataFile, dialect: Dialect) -> bool:
    """Return whether a table has a usual name of a column, or a column of few values or numbers."""
    rows = [row for row, _ in itertools.islice(_records(file.lines(), dialect), SAMPLE) if row]
    if has_known_name(rows[0], Columns()):
        return True
    return any(kind_of(values).is_label for values in zip(*rows[1:], strict=False))


def _choose_quoting(file: DataFile) -> tuple[Dialect, list[str]]:
    """Choose whether the quotes of a TSV are around fields or part of them."""
    plain, quoted, name = Dialect("\t", False), Dialect("\t", True), file.path.name
    begin, needed = _count_quotes(file.lines())
    if not begin:
        return plain, []
    as_plain, as_quoted = measure(file, plain), measure(file, quoted)
    fits = as_quoted.others < as_plain.others
    is_written_so = needed and not as_quoted.stray and as_quoted.others == as_plain.others
    if not as_quoted.broken and (fits or is_written_so):
        meaning = "quotes around a field are not part of it, and doubled ones stand for one"
        return quoted, [f"read {name} as TSV with quoted fields: {meaning}"]
    fields = "1 field begins" if begin == 1 else f"{begin:,} fields begin"
    return plain, [f"read {name} as TSV without quoting: {fields} with a quote, which stays"]


def _count_quotes(lines: Iterable[str]) -> tuple[int, int]:
    """Count the fields, read as unquoted, that begin with a quote; and those that need quotes.

    The latter are quoted as writers do it, and hold what makes writers do it, or are in a column
    in which every value is quoted.
    """
    begin = needed = rows = 0
    quoted: Counter[int] = Counter()
    for line in lines:
        rows += bool(line.strip())
        if '"' not in line:
            continue
        for place, field in enumerate(line.rstrip("\r\n").split("\t")):
            if field[:1] != '"':
                continue
            begin += 1
            inside = field[1:-1].replace('""', "")
            is_whole = len(field) > 1 and field[-1] == '"' and '"' not in inside
            quoted[place] += is_whole
            needed += is_whole and (len(inside) < len(field) - 2 or "\r" in inside)
    whole = max(quoted.values(), default=0)
    return begin, whole if whole == rows - 1 >= FEWEST else needed


def measure(file: DataFile, dialect: Dialect) -> Fit:
    """Count the rows of a file, read in a dialect, that are as wide as the first."""
    fit = Fit()
    try:
        for row, written in _records(file.lines(), dialect):
            if not row or (len(row) == 1 and not row[0].strip()):
                continue
            if '"' in written and not AS_WRITTEN.match(written.rstrip("\r\n")):
                fit.stray += 1
            if not fit.width:
                fit.width = len(row)
                continue
            fit.rows += 1
            fit.others += len(row) != fit.width
    except csv.Error:
        fit.broken = True
    return fit


def _records(lines: Iterator[str], dialect: Dialect) -> Iterator[tuple[list[str], str]]:
    """Yield the fields of each row, and what stands in the file."""
    if not dialect.quoted:
        yield from ((line.rstrip("\r\n").split(dialect.separator), "") for line in lines)
        return
    csv.field_size_limit(sys.maxsize)
    written: list[str] = []
    length = 0

    def counted() -> Iterator[str]:
        nonlocal length
        for line in split_at_returns(lines):
            length += len(line)
            if length > LONGEST_ROW:
                raise csv.Error("the row has no end")
            written.append(line)
            yield line

    for row in csv.reader(counted(), delimiter=dialect.separator, strict=True):
        yield row, "".join(written)
        written.clear()
        length = 0
