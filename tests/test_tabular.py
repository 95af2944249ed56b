"""Files of every format to equal rows, and a sentence for every broken one."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tfpipe.data.tabular import open_rows, read_rows
from tfpipe.errors import UserError

HEADER = ["text", "label"]
ROWS = [
    ["plain", "a"],
    ['he said "no", then "yes"', "a"],
    ['"quoted at the start', "b"],
    ["一 café 😀", "中"],
    ["line\u2028separator \x0c form feed \x85 next line \x1c", "b"],
    ["x" * 10_000, "c,d"],
    ["", "a"],
    ["  spaces  ", "a"],
]


def as_csv(rows: Sequence[Sequence[str]], end: str = "\n", separator: str = ",") -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=separator, lineterminator=end, quoting=csv.QUOTE_ALL).writerows(rows)
    return out.getvalue().encode()


def as_tsv(rows: Sequence[Sequence[str]], end: str = "\n") -> bytes:
    return "".join("\t".join(row) + end for row in rows).encode()


def as_jsonl(rows: Sequence[Sequence[str]], end: str = "\n") -> bytes:
    objects = [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]
    return "".join(json.dumps(o, ensure_ascii=False) + end for o in objects).encode()


def as_parquet(rows: Sequence[Sequence[str]]) -> bytes:
    import pyarrow
    import pyarrow.parquet

    columns = zip(*rows[1:], strict=True)
    out = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(dict(zip(rows[0], columns, strict=True))), out)
    return out.getvalue()


WRITERS: dict[str, Callable[..., bytes]] = {
    "csv": as_csv,
    "tsv": as_tsv,
    "jsonl": as_jsonl,
    "parquet": as_parquet,
}


def read(path: Path, content: bytes | str) -> tuple[list[str], list[list[str]]]:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    header, rows = read_rows(path)
    return header, [list(row) for row in rows]


def refused(path: Path, content: bytes | str | None = None) -> UserError:
    if content is not None:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(UserError) as caught:
        list(read_rows(path)[1])
    assert caught.value.wrong and str(path) in caught.value.found and caught.value.fix
    return caught.value


# ---- equal rows -----------------------------------------------------------------------------


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("kind", WRITERS)
def test_every_format_gives_equal_rows(tmp_path: Path, kind: str, zipped: bool) -> None:
    content = WRITERS[kind]([HEADER, *ROWS])
    path = tmp_path / f"Data.v2.{kind.upper() if zipped else kind}{'.gz' if zipped else ''}"
    assert read(path, gzip.compress(content) if zipped else content) == (HEADER, ROWS)


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl"])
def test_windows_line_ends_and_a_byte_order_mark(tmp_path: Path, kind: str) -> None:
    content = WRITERS[kind]([HEADER, *ROWS], end="\r\n")
    assert read(tmp_path / f"a.{kind}", b"\xef\xbb\xbf" + content) == (HEADER, ROWS)


@pytest.mark.parametrize("separator,kind", [(",", "csv"), ("\t", "tsv")])
def test_quoted_fields_hold_line_breaks_quotes_and_separators(
    tmp_path: Path, separator: str, kind: str
) -> None:
    rows = [["\nbegins with a break", "a"], ['two\r\nlines, ""\t', "b"], ["", "c"]]
    content = as_csv([HEADER, *rows], separator=separator)
    assert read(tmp_path / f"a.{kind}", content) == (HEADER, rows)


def test_a_tsv_whose_header_has_no_quotes_is_not_quoted(tmp_path: Path) -> None:
    content = 'text\tlabel\n"a" b\tx\n"\ty\n""\t"z"\n"open\tx\n'
    assert read(tmp_path / "a.tsv", content)[1] == [
        ['"a" b', "x"],
        ['"', "y"],
        ['""', '"z"'],
        ['"open', "x"],
    ]


@pytest.mark.parametrize("kind,separator", [("csv", ","), ("tsv", "\t")])
def test_blank_lines_and_spaces_around_names_do_not_count(
    tmp_path: Path, kind: str, separator: str
) -> None:
    content = f"\n  \n text {separator} label \n\na{separator}b\n \n\r\nc{separator}d".encode()
    assert read(tmp_path / f"a.{kind}", content) == (HEADER, [["a", "b"], ["c", "d"]])


@pytest.mark.parametrize(
    ("name", "content", "lines"),
    [
        ("a.csv", '\ntext,label\n\n"a\nb",x\r\nc,y\n', [4, 6]),
        ("a.tsv", "text\tlabel\na\tx\n \nb\ty\n", [2, 4]),
        ("a.jsonl", '\n{"text": "a"}\n\n{"text": "b"}\n', [2, 4]),
        ("a.parquet", as_parquet([HEADER, ["a", "x"], ["b", "y"]]), [None, None]),
    ],
)
def test_each_row_has_the_line_where_it_begins(
    tmp_path: Path, name: str, content: bytes | str, lines: list[int | None]
) -> None:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    opened = open_rows(path)
    assert opened.line() is None
    assert [opened.line() for _ in opened.rows] == lines


def test_in_a_file_of_one_column_an_empty_field_is_a_row(tmp_path: Path) -> None:
    assert read(tmp_path / "a.csv", 'text\na\n""\nb\n') == (["text"], [["a"], [""], ["b"]])


def test_json_objects_may_lack_names_and_hold_escapes(tmp_path: Path) -> None:
    content = '{"text": "\\ud83d\\ude00\\u0000\\n", "label": 1}\n\n{"label": null, "more": true}\n'
    header, rows = read(tmp_path / "a.jsonl", content)
    assert header == ["text", "label", "more"]
    assert rows == [["😀\0\n", 1, None], [None, None, True]]


def test_the_real_csv_with_line_breaks_inside_fields(shared_data: Path) -> None:
    header, rows = read_rows(shared_data / "banking77" / "raw" / "train.csv")
    texts = [row[0] for row in rows]
    assert header == ["text", "category"]
    assert len(texts) == 9976
    assert sum("\n" in text for text in texts) == 5
    assert sum(text.startswith("\n") for text in texts) == 4
    assert not any(text.endswith("\r") for text in texts)


# ---- refused --------------------------------------------------------------------------------


def test_a_missing_file_names_its_sibling(tmp_path: Path) -> None:
    (tmp_path / "training.tsv").write_text("")
    error = refused(tmp_path / "trianing.tsv")
    assert error.wrong == "the data file is missing"
    assert "did you mean 'training.tsv'?" in error.fix
    assert "check the path" in refused(tmp_path / "nowhere" / "a.tsv").fix


@pytest.mark.parametrize("name", ["a.txt", "a", "a.gz", "a.csv.zip", ".csv"])
def test_an_unknown_ending_names_the_known_ones(tmp_path: Path, name: str) -> None:
    error = refused(tmp_path / name, "text,label\na,b\n")
    assert "ending" in error.wrong
    assert ".parquet" in error.fix


@pytest.mark.parametrize("content", ["", " ", "\n\r\n \t\n", "\ufeff"])
@pytest.mark.parametrize("kind", WRITERS)
def test_an_empty_file(tmp_path: Path, kind: str, content: str) -> None:
    if kind == "parquet" and content:
        assert "parquet" in refused(tmp_path / "a.parquet", content).wrong
    else:
        assert refused(tmp_path / f"a.{kind}", content).wrong == "the data file is empty"
        zipped = gzip.compress(content.encode())
        assert refused(tmp_path / f"a.{kind}.gz", zipped).wrong == "the data file is empty"


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "a.csv").mkdir()
    assert "irectory" in refused(tmp_path / "a.csv").found
    (tmp_path / "file").write_text("")
    assert refused(tmp_path / "file" / "a.csv").wrong == "the data file cannot be read"


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
def test_a_file_without_the_right_to_read_it(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label\na,b\n")
    (tmp_path / "a.csv").chmod(0)
    assert "Permission" in refused(tmp_path / "a.csv").found


def test_broken_gzip(tmp_path: Path) -> None:
    whole = gzip.compress(bytes(range(256)) * 50)
    for broken in (b"text,label\n", whole[:-9], whole[:20], whole[:40] + b"\xff" * 40 + whole[80:]):
        assert refused(tmp_path / "a.csv.gz", broken).wrong == "the data file cannot be read"


def test_broken_parquet(tmp_path: Path) -> None:
    whole = as_parquet([HEADER, *ROWS])
    middle = len(whole) // 8
    damaged = whole[:middle] + bytes(byte ^ 255 for byte in whole[middle : 2 * middle])
    for broken in (b"x", b"PAR1" * 9, whole[:-9], whole[9:], damaged + whole[2 * middle :]):
        assert refused(tmp_path / "a.parquet", broken).wrong == "the file cannot be read as parquet"


def test_parquet_strings_that_are_not_utf8(tmp_path: Path) -> None:
    whole = as_parquet([["text"], ["aaaa bbbb"], ["cccc dddd"]])
    assert b"aaaa bbbb" in whole
    broken = whole.replace(b"aaaa bbbb", b"aaaa \xff\xfe\xfdb")
    assert "utf-8" in refused(tmp_path / "a.parquet", broken).found.lower()


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl"])
def test_invalid_utf8_is_told_with_its_line(tmp_path: Path, kind: str) -> None:
    content = WRITERS[kind]([HEADER, ["a", "b"], ["c?", "d"]]).replace(b"?", b"\xd6\xd0")
    error = refused(tmp_path / f"a.{kind}", content)
    assert f"line {2 if kind == 'jsonl' else 3}: byte 0xd6" in error.found
    assert "GB18030" in error.fix


def test_nul_characters(tmp_path: Path) -> None:
    for name in ("UTF-16LE", "UTF-16BE"):
        error = refused(tmp_path / "a.tsv", "text\tlabel\n".encode(name))
        assert f"iconv -f {name} " in error.fix
    error = refused(tmp_path / "a.tsv", "text\tlabel\na\tb\nc\0\td\n")
    assert "NUL" in error.wrong
    assert "line 3" in error.found


@pytest.mark.parametrize(
    "kind,row", [("csv", "a"), ("csv", "a,b,c"), ("tsv", "a"), ("tsv", "a\tb\t")]
)
def test_a_row_of_another_width_is_told_with_its_line(tmp_path: Path, kind: str, row: str) -> None:
    good = "c,d" if kind == "csv" else "c\td"
    header = "text,label" if kind == "csv" else "text\tlabel"
    error = refused(tmp_path / f"a.{kind}", f"{header}\n{good}\n\n{row}\n{good}\n")
    assert "wide" in error.wrong
    assert "line 4" in error.found


def test_an_open_quote_is_told_with_the_line_where_its_record_begins(tmp_path: Path) -> None:
    lines = ["text,label", '"a\nb",x', '"open,y', *["c,z"] * 100]
    error = refused(tmp_path / "a.csv", "\n".join(lines))
    assert error.wrong == "the CSV quoting is broken"
    assert "record from line 4:" in error.found
    assert "record from line 1:" in refused(tmp_path / "b.csv", '"text,label\na,b\n').found


@pytest.mark.parametrize("line", ["[1]", '"text"', "3", "null"])
def test_a_json_line_that_is_no_object(tmp_path: Path, line: str) -> None:
    error = refused(tmp_path / "a.jsonl", f'{{"text": "a"}}\n\n{line}\n')
    assert error.wrong == "a line is not a JSON object"
    assert "line 3" in error.found


@pytest.mark.parametrize("line", ["{", "text", "{'a': 1}", "[" * 100_000, '{"a": ' + "1" * 5000])
def test_a_line_that_is_not_json(tmp_path: Path, line: str) -> None:
    error = refused(tmp_path / "a.jsonl", f'{{"text": "a"}}\n{line}\n')
    assert error.wrong == "a line is not JSON"
    assert "line 2" in error.found
