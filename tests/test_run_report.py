"""The page that a training writes, from the run's own data."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.data import write_messages
from tests.support.evaluations import (
    make_answers,
    make_entities,
    make_evaluation,
    make_label_sets,
    make_values,
)
from tests.support.pages import Page
from tests.support.runs import copy_run, tiny_run
from tfpipe.report.page import render_page
from tfpipe.report.run_outputs import measured_metrics
from tfpipe.report.run_report import Report
from tfpipe.report.stored_report import FILE, decode, encode, read_report
from tfpipe.rewrite_report import main
from tfpipe.run_folder import Run
from tfpipe.tasks.evaluation import TaskEvaluation


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("reported")
    rows = write_messages(folder / "plain.tsv").read_text(encoding="utf-8").splitlines()
    # A column that says where a text comes from, and a text of dev that train has, too.
    sources = ["source", *(("app", "<mail>")[row % 2] for row in range(len(rows) - 1))]
    lines = [f"{line}\t{source}" for line, source in zip(rows, sources, strict=True)]
    train, dev = folder / "train.tsv", folder / "dev.tsv"
    train.write_text("\n".join(lines[:80]) + "\n", encoding="utf-8")
    dev.write_text("\n".join([lines[0], *lines[80:], lines[1].upper()]) + "\n", encoding="utf-8")
    dev.write_text(dev.read_text("utf-8").replace("\tCARD\tAPP", "\tcard\tapp"), "utf-8")
    return tiny_run(folder, train=str(train), dev=str(dev), epochs=1, language="zh")


def page_of(run: Run) -> Page:
    return Page(Path(run.folder, "report.html").read_text(encoding="utf-8"))


def test_the_page_tells_of_the_runs_own_data(run: Run) -> None:
    page = page_of(run)
    sections = {attributes["id"] for tag, attributes in page.tags if tag == "section"}
    assert {"data", "curves", "slices", "duplicates", "suspects", "cost", "run"} <= sections
    assert "验证集中有 1 条样本也出现在训练集里" in page.text
    assert "按来源" in page.text and "<mail>" in page.text and "按长度" in page.text


def test_the_page_gives_the_command_and_the_data_it_was_made_of(run: Run) -> None:
    text = page_of(run).text
    assert f"--config {run.folder}/config.yaml --output {run.folder}-again" in text
    assert run.data["train_sha256"] in text and run.data["dev_sha256"] in text
    assert "language: zh" in text


EVALUATIONS = {
    "classify": make_evaluation(6, 60),
    "multilabel": make_label_sets(),
    "regress": make_values(),
    "tag": make_entities(),
    "qa": make_answers(20),
}


@pytest.mark.parametrize("task", EVALUATIONS)
def test_a_stored_report_is_the_same_page(task: str) -> None:
    found: TaskEvaluation = EVALUATIONS[task]
    report = Report("x", task, measured_metrics(found), **found.sections(found))
    again = decode(Report, json.loads(json.dumps(encode(report))))
    assert render_page(again) == render_page(report)


def test_the_page_is_written_again(run: Run, tmp_path: Path) -> None:
    before, out = (run.folder / "report.html").read_text(encoding="utf-8"), tmp_path / "a.html"
    assert main([str(run.folder), "--out", str(out)]) == 0
    assert out.read_text(encoding="utf-8") == before
    stored = read_report(run.folder)
    assert stored is not None and stored.history and stored.data
    assert main([str(run.folder), "--out", str(out), "--language", "en"]) == 0
    text = Page(out.read_text(encoding="utf-8")).text
    assert "Measured on 42 examples" in text and "Of dev: " in text and "dev.tsv (42)" in text


def test_a_page_about_another_file(run: Run, tmp_path: Path) -> None:
    copied = copy_run(run, tmp_path / "run")
    data = write_messages(tmp_path / "fresh.tsv", rows=30, seed=4)
    assert main([str(copied.folder), "--data", str(data), "--language", "en"]) == 0
    page = Page((copied.folder / "report-fresh.html").read_text(encoding="utf-8"))
    assert "Measured on 30 examples of fresh.tsv." in page.text
    assert "on dev" not in page.text and f"{data} (30)" in page.text
    sections = {attributes["id"] for tag, attributes in page.tags if tag == "section"}
    assert {"figures", "classes", "confusion", "slices"} <= sections
    assert not {"data", "curves", "duplicates"} & sections
    same = (run.folder / "report.html").read_bytes()
    assert (copied.folder / "report.html").read_bytes() == same


def test_a_run_without_stored_content_gets_a_page_of_dev(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copied = copy_run(run, tmp_path / "run")
    (copied.folder / FILE).write_text('{"title": 3}', encoding="utf-8")
    assert main([str(copied.folder)]) == 0
    shown_text = capsys.readouterr()
    assert shown_text.out == f"{copied.folder / 'report.html'}\n"
    assert "without the sections on its data, its curves and its test file" in shown_text.err
    sections = {tag[1]["id"] for tag in page_of(copied).tags if tag[0] == "section"}
    assert "classes" in sections and not {"data", "curves"} & sections


def test_what_cannot_be_written_is_told(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments, wrong in (
        (["--out", str(tmp_path / "none" / "a.html")], "folder of --out is missing"),
        (["--out", str(tmp_path)], "the page cannot be written"),
        (["--text", "a"], "--text has no effect without --data"),
        (["--language", "fr"], "--language has an unknown value"),
    ):
        assert main([str(run.folder), *arguments]) == 2
        assert wrong in capsys.readouterr().err
