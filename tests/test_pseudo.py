"""`tfpipe.pseudo`: texts that a run is sure of become rows to train on."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.data import write_messages
from tests.support.runs import finished_run
from tfpipe.config import PseudoConfig
from tfpipe.data.examples import Columns
from tfpipe.data.read_examples import read_examples
from tfpipe.errors import UserError
from tfpipe.predicting.loaded_model import load
from tfpipe.pseudo import main, pseudo
from tfpipe.training.preparation import read_parts


def config_of(tmp_path: Path, rows: int = 90, **values: object) -> PseudoConfig:
    data = tmp_path / "unlabelled.tsv"
    if not data.exists():
        write_messages(data, rows=rows, seed=5)
        texts = [line.split("\t")[0] for line in data.read_text(encoding="utf-8").splitlines()]
        data.write_text("\n".join(texts) + "\n", encoding="utf-8")
    settings = {"run": str(finished_run("classify").folder), "data": str(data)}
    return PseudoConfig(**(settings | {"out": str(tmp_path / "more.tsv")} | values))  # type: ignore[arg-type]


def test_sure_texts_are_labelled(tmp_path: Path) -> None:
    config = config_of(tmp_path)
    model, texts = load(config.run), Path(config.data).read_text(encoding="utf-8").splitlines()[1:]
    answers = dict(zip(texts, model(texts), strict=True))
    middle = sorted(answer.score for answer in answers.values())[45]
    done = pseudo(replace(config, score=middle))
    found = read_examples(Path(config.out), Columns())
    sure = [text for text in texts if answers[text].score >= middle]
    assert list(found.texts) == sure and done.labelled == len(sure) < done.read == 90
    assert found.labels == [answers[text].label for text in sure]
    assert sum(done.labels.values()) == done.labelled
    header, first, *_ = Path(config.out).read_text(encoding="utf-8").splitlines()
    assert header.split("\t") == ["text", "label", "score", "source"]
    assert first.split("\t")[3] == "pseudo:run" and float(first.split("\t")[2]) >= middle - 1e-6


def test_the_score_is_chosen_on_dev(tmp_path: Path) -> None:
    # On 24 dev examples, few wrong answers can be excluded with confidence.
    done = pseudo(config_of(tmp_path, risk=0.3, out=str(tmp_path / "a.tsv")))
    less = pseudo(config_of(tmp_path, risk=0.5, out=str(tmp_path / "b.tsv")))
    assert 0 <= less.threshold <= done.threshold < 1 and less.labelled >= done.labelled


def test_known_texts_are_left_out_and_training_rows_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = finished_run("classify")
    train, dev = read_parts(run.config).train, run.read_dev()
    data = tmp_path / "unlabelled.jsonl"
    texts = [*train.texts[:3], *dev.texts[:4], "my card 1000", "my card 1000", " "]
    lines = [json.dumps({"text": text}) for text in texts]
    data.write_text("\n".join(lines) + "\n", encoding="utf-8")
    out = tmp_path / "more.jsonl"
    command = [str(run.folder), "--data", str(data), "--out", str(out), "--score", "0"]
    assert main([*command, "--with-train", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["read"], found["labelled"], found["repeated"]) == (10, 1, 9)
    assert found["given"] == len(train)
    rows = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert [row["text"] for row in rows] == [*train.texts, "my card 1000"]
    assert rows[0]["source"] == "train" and rows[0]["score"] is None
    assert main(command) == 2 and "exists" in capsys.readouterr().err
    assert main([*command, "--overwrite"]) == 0
    assert "labelled 1 of 10 rows" in capsys.readouterr().out


def test_what_is_refused(tmp_path: Path) -> None:
    for values, wrong in (
        ({"run": str(finished_run("regress").folder)}, "runs of --task classify"),
        ({"score": 1.0}, "no text has a score"),
        ({"risk": 1e-6}, "no threshold"),
        ({"out": str(tmp_path / "more.txt")}, "unknown ending"),
    ):
        with pytest.raises(UserError) as raised:
            pseudo(config_of(tmp_path, **values))
        assert wrong in str(raised.value), wrong
        assert not (tmp_path / "more.tsv").exists()
