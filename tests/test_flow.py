"""From a text file to a served answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.data import (
    write_entities,
    write_label_sets,
    write_messages,
    write_numbers,
    write_questions,
)
from tests.support.runs import tiny_config
from tests.support.task_check import check_task


def test_classify(tmp_path: Path) -> None:
    check_task(tiny_config(tmp_path, epochs=8, strategy="mirrored"), tmp_path)


def test_classify_pairs(tmp_path: Path) -> None:
    write_messages(tmp_path / "messages.tsv", pairs=True)
    check_task(tiny_config(tmp_path, epochs=8), tmp_path)


def test_multilabel(tmp_path: Path) -> None:
    write_label_sets(tmp_path / "messages.tsv")
    config = tiny_config(tmp_path, task="multilabel", epochs=12, strategy="mirrored")
    check_task(config, tmp_path)


@pytest.mark.parametrize("pairs", [False, True], ids=["texts", "pairs"])
def test_regress(tmp_path: Path, pairs: bool) -> None:
    write_numbers(tmp_path / "messages.tsv", pairs=pairs)
    check_task(tiny_config(tmp_path, task="regress", epochs=12), tmp_path)


def test_tag(tmp_path: Path) -> None:
    data = write_entities(tmp_path / "people.conll")
    config = tiny_config(tmp_path, task="tag", train=str(data), epochs=8, strategy="mirrored")
    check_task(config, tmp_path)


def test_qa(tmp_path: Path) -> None:
    data = write_questions(tmp_path / "things.json")
    config = tiny_config(tmp_path, task="qa", train=str(data), epochs=10, max_length=20)
    check_task(config, tmp_path, at_least=0.6)
