"""Cleaning of data files: labels stripped and merged, rows dropped, formats and encodings."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from tfpipe import clean
from tfpipe.clean import Cleaning, clean_file
from tfpipe.config import CleanConfig
from tfpipe.errors import UserError

MESSY = [
    ("1", "我的卡在哪里", "退款"),
    ("2", "钱还没到账", "退款\u3000"),
    ("3", "我想退款", "\u3000退款"),
    ("4", "卡坏了", "ＶＩＰ　卡"),
    ("5", "换一张卡", "VIP 卡"),
    ("6", "卡片丢失", "VIP 卡"),
    ("7", "我想退款", "退款"),
    ("8", "", "退款"),
    ("9", "卡片丢失", "退款"),
    ("10", "请问\n几点开门", "营业时间"),
]


def write_rows(path: Path, rows: list[tuple[str, ...]], encoding: str = "utf-8") -> Path:
    with path.open("w", encoding=encoding, newline="") as file:
        csv.writer(file).writerows([("id", "文本", "标签"), *rows])
    return path


def cleaned(folder: Path, source: Path, to: str = "out.csv", **more: Any) -> Cleaning:
    return clean_file(CleanConfig(str(source), str(folder / to), **more))


def read(path: Path) -> list[tuple[str, ...]]:
    separator = "\t" if path.suffix == ".tsv" else ","
    with path.open(encoding="utf-8", newline="") as file:
        return [*map(tuple, csv.reader(file, delimiter=separator))]


def test_without_flags_blanks_go_and_the_rest_is_told(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "a.csv", MESSY, "gb18030")
    done = cleaned(tmp_path, source)
    labels = [label.strip("\u3000") for _, _, label in MESSY]
    expected = [(*row[:2], label) for row, label in zip(MESSY, labels, strict=True)]
    assert read(tmp_path / "out.csv") == [("id", "文本", "标签"), *expected]
    assert [*done.as_lines()] == [
        f"read 10 rows of {source}",
        "removed the blanks around 2 labels",
        "found 'ＶＩＰ\\u3000卡' (1) beside 'VIP 卡' (2): --merge-labels",
        "found 1 row without a text or label: --drop empty",
        "found 1 row with the text and label of an earlier one: --drop duplicates",
        "found 2 rows of texts with several labels: --drop contradictions",
        "found 2 rows with a label of few rows: --drop rare",
        f"wrote 10 rows to {tmp_path / 'out.csv'}",
    ]


def test_labels_are_merged_and_rows_dropped_as_asked(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "a.csv", MESSY)
    done = cleaned(
        tmp_path,
        source,
        "out.tsv",
        merge_labels=True,
        merge="营业时间=其他",
        drop="empty,duplicates,contradictions,rare",
    )
    # A row that is dropped for one reason is not counted for the next.
    assert done.as_json() == {
        "rows_read": 10,
        "rows_written": 5,
        "labels_stripped": 2,
        "merged": [
            {"label": "ＶＩＰ　卡", "into": "VIP 卡", "rows": 1},
            {"label": "营业时间", "into": "其他", "rows": 1},
        ],
        "dropped": {"empty": 1, "duplicates": 1, "contradictions": 2, "rare": 1},
        "found": {},
        "near_labels": [],
        "to": str(tmp_path / "out.tsv"),
    }
    kept = [(row[0], row[2]) for row in read(tmp_path / "out.tsv")[1:]]
    assert kept == [("1", "退款"), ("2", "退款"), ("3", "退款"), ("4", "VIP 卡"), ("5", "VIP 卡")]


def test_pairs_win_and_chains_are_followed(tmp_path: Path) -> None:
    rows = [(str(n), f"text {n}", label) for n, label in enumerate(["good"] * 3 + ["Good", "BAD"])]
    source = write_rows(tmp_path / "a.csv", rows)
    cleaned(tmp_path, source, merge="good=fine,BAD=good", merge_labels=True)
    labels = [row[2] for row in read(tmp_path / "out.csv")[1:]]
    assert labels == ["fine"] * 5
    with pytest.raises(UserError) as caught:
        cleaned(tmp_path, source, "b.csv", merge="BADD=fine")
    assert caught.value.wrong == "--merge names a label that the file lacks"
    assert "did you mean 'BAD'?" in caught.value.fix and not (tmp_path / "b.csv").exists()


def test_names_within_labels(tmp_path: Path) -> None:
    sets = [("1", "one", "A | b"), ("2", "two", "a|b"), ("3", "three", "a"), ("4", "four", "b|c")]
    source = write_rows(tmp_path / "a.csv", sets)
    cleaned(tmp_path, source, task="multilabel", merge_labels=True, drop="rare")
    assert [row[2] for row in read(tmp_path / "out.csv")[1:]] == ["a|b", "a|b", "a", "b"]
    tagged = [("1", "Ann in Rome", '[[0, 3, "Per"], [7, 11, "loc "]]'), ("2", "Bob", "[]")]
    tagged += [("3", "Cid", '[[0, 3, "per"]]'), ("4", "Dan", '[[0, 3, "per"]]')]
    source = write_rows(tmp_path / "b.csv", tagged)
    cleaned(tmp_path, source, "b.jsonl", task="tag", merge_labels=True)
    lines = (tmp_path / "b.jsonl").read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    assert json.loads(records[0]["标签"]) == [[0, 3, "per"], [7, 11, "loc"]]
    assert records[1] == {"id": "2", "文本": "Bob", "标签": "[]"}


def test_values_of_other_columns_stay(tmp_path: Path) -> None:
    source = tmp_path / "a.jsonl"
    record = {"text": "hello", "label": "x ", "n": 1.5, "more": ["a"], "none": None, "yes": True}
    source.write_text(json.dumps(record) + "\n", encoding="utf-8")
    cleaned(tmp_path, source, "out.jsonl")
    assert json.loads((tmp_path / "out.jsonl").read_text()) == {**record, "label": "x"}
    cleaned(tmp_path, source)
    assert read(tmp_path / "out.csv")[1] == ("hello", "x", "1.5", '["a"]', "", "true")


def test_nothing_is_overwritten_unasked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_rows(tmp_path / "a.csv", MESSY)
    before = source.read_bytes()
    for to, more, reported in (
        ("a.csv", ["--overwrite"], "a file cannot be cleaned in its own place"),
        ("a.pdf", [], "--to has an unknown ending"),
        ("b.csv", [], "the file of --to exists"),
        ("c.csv", ["--drop", "emty"], "--drop has an unknown value"),
        ("c.csv", ["--merge", "x"], "--merge takes pairs"),
    ):
        (tmp_path / "b.csv").write_text("kept")
        assert clean.main([str(source), "--to", str(tmp_path / to), *more]) == 2
        assert reported in capsys.readouterr().err
    assert source.read_bytes() == before and (tmp_path / "b.csv").read_text() == "kept"
    assert {path.name for path in tmp_path.iterdir()} == {"a.csv", "b.csv"}
    assert clean.main([str(source), "--to", str(tmp_path / "b.csv"), "--overwrite", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rows_written"] == 10
