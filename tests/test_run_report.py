"""The page that a training writes, from the run's own data."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.data import write_messages
from tests.support.pages import Page
from tests.support.runs import tiny_run
from tfpipe.run_folder import Run


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
