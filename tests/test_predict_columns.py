"""Columns of the files that predict reads and writes, and the place of its output."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from tests import test_predict
from tests.support.runs import copy_run, finished_run
from tests.test_predict import World, read
from tfpipe.config import EvaluateConfig, PredictConfig
from tfpipe.errors import UserError
from tfpipe.evaluate import evaluate
from tfpipe.predict import main, predict
from tfpipe.predicting.writers import Extras, make_writer
from tfpipe.tasks.classify.output import SCHEMA

world, server = test_predict.world, test_predict.server  # fixtures

IDS = ["id", "text", "order_id", "label", "when"]


@pytest.mark.parametrize(
    ("keep", "kept"),
    [
        ([], ["id", "order_id"]),
        (["--keep-columns", "none"], []),
        (["--keep-columns"], ["id", "order_id", "data.label", "when"]),
        (["--keep-columns", "when, id"], ["when", "id"]),
    ],
)
def test_other_columns_are_kept(server: str, tmp_path: Path, keep: list, kept: list) -> None:
    rows = [[7, "my card 1", "a,b", "old", None], [8, "rain 2", "c", "old", 1.5]]
    data = tmp_path / "in.jsonl"
    lines = (json.dumps(dict(zip(IDS, row, strict=True))) for row in rows)
    data.write_text("\n".join(lines), encoding="utf-8")
    names = [*kept, "text", "label", "score", "second", "second_score"]
    command = ["--target", server, "--model", "tiny", "--data", str(data)]
    command += [*keep, "--second", "--out"]
    tables = {}
    for kind, more in (("csv", ["--excel"]), ("tsv", []), ("jsonl", ["--scores"])):
        assert main([*command, str(tmp_path / f"out.{kind}"), *more]) == 0
        tables[kind] = read(tmp_path / f"out.{kind}")
    assert (tmp_path / "out.csv").read_bytes().startswith(b"\xef\xbb\xbf")
    assert tables["csv"] == tables["tsv"] and tables["csv"][0] == names
    assert tables["jsonl"][0] == [*names, "scores"]
    for number, row in enumerate(tables["jsonl"][1]):
        given = [rows[number][IDS.index(name.removeprefix("data."))] for name in kept]
        *texts, label, score, second, second_score, scores = row
        assert texts == [*given, rows[number][1]]
        # A score of rounding equals another where both are equal.
        best = sorted(scores, key=scores.get, reverse=True)
        assert (label, second) == (best[0], best[1])
        assert (score, second_score) == (scores[label], scores[second])
        as_text = ["" if value is None else str(value) for value in given]
        assert tables["csv"][1][number][: len(kept)] == as_text


def test_what_cannot_be_written_is_refused(world: World, tmp_path: Path) -> None:
    data, out = tmp_path / "in.csv", tmp_path / "out.csv"
    data.write_text("text,order_id\nmy card,1\n")
    folder = tmp_path / "folder.csv"
    folder.mkdir()
    config = PredictConfig(str(world.version), str(data), str(out))
    for wrong, change in (
        ("no column 'order_it' to keep", {"keep_columns": "order_it"}),
        ("--excel is for .csv", {"excel": True, "out": str(tmp_path / "out.tsv")}),
        ("the output file is the input", {"overwrite": True, "out": str(data)}),
        ("the output file exists", {"overwrite": True, "out": str(folder)}),
    ):
        with pytest.raises(UserError, match=wrong):
            predict(dataclasses.replace(config, **change))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder.csv", "in.csv"]
    with pytest.raises(UserError, match="no second label"):
        make_writer(out, ["text"], SCHEMA, False, ["a"], Extras(second=True))


def test_a_file_is_replaced_when_it_is_finished(server: str, tmp_path: Path) -> None:
    data, out = tmp_path / "in.csv", tmp_path / "out.csv"
    data.write_text("text\nmy card\n\n")
    out.write_text("before")
    config = PredictConfig(data=str(data), out=str(out), target=server, model="tiny")
    with pytest.raises(UserError, match="add --overwrite"):
        predict(config)
    broken = tmp_path / "broken.csv"
    broken.write_text('text\nmy card\n""\n')
    with pytest.raises(UserError, match="no text"):
        predict(dataclasses.replace(config, data=str(broken), overwrite=True))
    assert out.read_text() == "before"
    assert predict(dataclasses.replace(config, overwrite=True)).rows == 1
    assert read(out)[1][0][:2] == ["my card", "card"]


def test_columns_are_those_trained_on_where_the_file_has_them(tmp_path: Path) -> None:
    run = copy_run(finished_run("classify"), tmp_path / "run")
    columns = {"text": "body", "text_pair": None, "label": "kind"}
    run.write_json("data.json", run.data | {"columns": columns})
    data, other = tmp_path / "in.csv", tmp_path / "other.csv"
    data.write_text("text,body,label,kind\nx,my card,x,card\ny,rain now,y,weather\n")
    other.write_text("text,label\nmy card,card\n")
    assert evaluate(EvaluateConfig(run=str(run.folder), data=str(data))).metrics["examples"] == 2
    assert evaluate(EvaluateConfig(run=str(run.folder), data=str(other))).metrics["examples"] == 1
    for file, text, texts in ((data, None, ["my card", "rain now"]), (data, "text", ["x", "y"])):
        config = PredictConfig(str(run.folder), str(file), str(tmp_path / "out.csv"), text=text)
        predict(dataclasses.replace(config, overwrite=True))
        assert [row[0] for row in read(tmp_path / "out.csv")[1]] == texts
