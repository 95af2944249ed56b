"""Mistakes of users of the customer-service application: what is wrong, found, and to do."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from aiohttp import web

from tests.support.data import write_messages
from tfpipe.apps.support.answers import Answers, check_intents, read_answers
from tfpipe.apps.support.command import main
from tfpipe.apps.support.decision import Settings, read_settings
from tfpipe.apps.support.model_server import write_model_config
from tfpipe.apps.support.store import SCHEMA_VERSION, Store
from tfpipe.apps.support.tuning import read_labelled
from tfpipe.apps.support.web_server import listen
from tfpipe.errors import UserError


@pytest.mark.parametrize(
    ("table", "wrong", "found"),
    [
        ("text\tanswer\na\tb\n", "lacks a column", "text, answer"),
        ("intent\ttitle\na\tb\n", "lacks a column", "intent, title"),
        ("intent\tanswer\na\t\nb\tc\n", "has no answer", "row 1: 'a'"),
        ("intent\tanswer_en\tanswer_zh\na\t\t\nb\tc\t\n", "has no answer", "row 1: 'a'"),
        ("intent\tanswer\na\tb\na\tc\n", "has two answers", "row 2: 'a'"),
        ("intent\tanswer\n\tb\nc\td\n", "has no intent", "row 1: an empty field"),
        ("intent\tanswer\taction\na\tb\tcall\n", "action is unknown", "row 1: 'call'"),
    ],
)
def test_tables_of_answers(tmp_path: Path, table: str, wrong: str, found: str) -> None:
    path = tmp_path / "answers.tsv"
    path.write_text(table, encoding="utf-8")
    with pytest.raises(UserError) as error:
        read_answers(path)
    assert wrong in error.value.wrong and found in error.value.found and error.value.fix


def test_an_empty_table(tmp_path: Path) -> None:
    path = tmp_path / "answers.tsv"
    path.write_text("intent\tanswer\n", encoding="utf-8")
    with pytest.raises(UserError):
        read_answers(path)


def test_answers_for_other_intents() -> None:
    answers = Answers({"refnd": {"intent": "refnd", "answer": "a"}})
    with pytest.raises(UserError, match="refnd") as error:
        check_intents(answers, ["refund", "oos"], {"oos"})
    assert "did you mean 'refund'?" in error.value.fix
    both = Answers({**answers.entries, "order": {"intent": "order", "answer": "b"}})
    assert check_intents(both, ["order", "refund", "oos"], {"oos"}) == [
        "no answer for 1 intents: refund",
        "the model does not know 1 intents: refnd",
    ]


def test_a_database_of_another_version_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "conversations.sqlite"
    database = sqlite3.connect(path)
    database.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    database.execute("CREATE TABLE other (a)")
    database.commit()
    database.close()
    before = path.read_bytes()
    with pytest.raises(UserError, match="of another version") as error:
        Store(path)
    assert f"version {SCHEMA_VERSION + 1}" in error.value.found
    assert path.read_bytes() == before
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(UserError, match="cannot be kept"):
        Store(path)


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(9, 9, 0))  # type: ignore[attr-defined]
    with pytest.raises(UserError, match="too little space") as error:
        Store(tmp_path / "conversations.sqlite")
    assert "0 MB are free" in error.value.found
    assert not [*tmp_path.iterdir()]


def test_a_disk_that_fills_while_the_database_is_made_leaves_no_file(tmp_path: Path) -> None:
    script = """
import resource, sys
from pathlib import Path
from tfpipe.apps.support.store import Store
from tfpipe.errors import UserError
resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))
try:
    Store(Path(sys.argv[1]))
except UserError as error:
    assert "cannot be kept" in str(error), error
else:
    raise AssertionError("made")
"""
    path = tmp_path / "conversations.sqlite"
    subprocess.run([sys.executable, "-c", script, str(path)], check=True)
    assert not [*tmp_path.iterdir()]


def test_a_port_in_use() -> None:
    async def serve(port: int) -> None:
        async with listen(web.Application(), "127.0.0.1", port):
            pass

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(UserError, match="port cannot be bound") as error:
            asyncio.run(serve(taken.getsockname()[1]))
    assert "--port" in error.value.fix


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"threshold": 0.5}', json.dumps({**vars(Settings()), "floor": 2})]
)
def test_limits_that_are_none(tmp_path: Path, content: str) -> None:
    path = tmp_path / "settings.json"
    assert read_settings(path) == Settings()
    path.write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match="limits cannot be read"):
        read_settings(path)


def test_too_few_texts_to_tune_by(tmp_path: Path) -> None:
    path = write_messages(tmp_path / "messages.tsv", rows=20)
    with pytest.raises(UserError, match="too few labelled texts") as error:
        read_labelled(str(path))
    assert error.value.found.endswith("messages.tsv: 20") and "at least 100" in error.value.fix


def test_a_folder_without_versions(tmp_path: Path) -> None:
    config = tmp_path / "models.config"
    for folder in (tmp_path / "none", tmp_path):
        with pytest.raises(UserError, match="no served model"):
            write_model_config(config, [folder])
    assert not config.exists()


@pytest.mark.parametrize(
    ("arguments", "wrong"),
    [
        (["--target", "localhost:1"], "no model of it"),
        (["--intents", "models/a"], "no answers to the intents"),
        (["--port", "70000"], "out of range"),
        (["--answer", "a.tsv"], "did you mean --answers?"),
        (["tune"], "--data is missing"),
        (["export"], "--out is missing"),
        (["export", "--out", "a.txt"], "unknown ending"),
        (["export", "--out", "a.tsv", "--data-dir", "none"], "no conversations"),
        (["--intents", "none", "--answers", "none.tsv"], "none.tsv"),
    ],
)
def test_command_lines(
    arguments: list[str],
    wrong: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert wrong in error and "found:" in error and "to do:" in error
    assert not [*tmp_path.iterdir()]
