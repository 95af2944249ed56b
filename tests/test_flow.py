"""From a text file to a served answer."""

from __future__ import annotations

from pathlib import Path

from tests.task_check import check_task
from tests.tiny import tiny_config, write_messages


def test_classify(tmp_path: Path) -> None:
    check_task(tiny_config(tmp_path, epochs=8, strategy="mirrored"), tmp_path)


def test_classify_pairs(tmp_path: Path) -> None:
    write_messages(tmp_path / "messages.tsv", pairs=True)
    check_task(tiny_config(tmp_path, epochs=8), tmp_path)
