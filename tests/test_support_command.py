"""`python -m tfpipe.apps.support` with a real model: tuned, served, killed, back, exported."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.data import WORDS, write_messages
from tests.support.exports import exported

COMMAND = [sys.executable, "-m", "tfpipe.apps.support"]


def post(url: str, **body: Any) -> dict[str, Any]:
    with urllib.request.urlopen(url, json.dumps(body).encode(), timeout=10) as response:
        return json.load(response)


def wait_for(check: Callable[[], bool], seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.2)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("support")
    answers = folder / "answers.tsv"
    rows = "".join(f"{intent}\tThe answer to {intent}.\n" for intent in sorted(WORDS)[1:])
    answers.write_text(f"intent\tanswer\n{rows}", encoding="utf-8")
    return {
        "--intents": str(exported("classify").folder.parent),
        "--answers": str(answers),
        "--data-dir": str(folder / "data"),
    }


def flags(files: dict[str, str]) -> list[str]:
    return [word for pair in files.items() for word in pair]


def test_from_limits_to_labels(files: dict[str, str], tmp_path: Path) -> None:
    data = str(write_messages(tmp_path / "messages.tsv"))
    tune = [*COMMAND, "tune", *flags(files), "--data", data, "--right", "0.5", "--json"]
    done = subprocess.run(tune, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["answered_right"] >= 0.5 and found["threshold"] >= 2 / 3 - 0.001
    settings = json.loads((Path(files["--data-dir"]) / "settings.json").read_text())
    assert settings["version"] == 1 and settings["threshold"] == found["threshold"]

    start = [*COMMAND, *flags(files), "--port", "0"]
    with subprocess.Popen(start, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            check_conversations(process.stdout.readline(), process.pid)
        finally:
            process.terminate()
        assert process.wait(timeout=30) == 0
    check_export(files, tmp_path / "unsure.tsv")


def check_conversations(line: str, process: int) -> None:
    url = line.split()[2].rstrip(",")
    assert "/agent#" in line
    intent = sorted(WORDS)[1]
    text = f"please {WORDS[intent][0]} my"

    def ask(text: str = text) -> dict[str, Any]:
        name = post(f"{url}/api/conversations")["id"]
        return post(f"{url}/api/conversations/{name}/messages", text=text)

    reply = ask()
    assert (reply["kind"], reply["intent"]) == ("answer", intent)
    assert reply["text"] == f"The answer to {intent}."
    # The first intent has no answer, so that a person gives one.
    assert ask(f"please {WORDS[sorted(WORDS)[0]][0]} my")["kind"] == "handover"

    def health() -> dict[str, Any]:
        with urllib.request.urlopen(f"{url}/healthz", timeout=10) as response:
            return json.load(response)

    assert health()["status"] == "ok"
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    os.kill(int(children[0]), signal.SIGKILL)
    began = time.monotonic()
    lost = ask()
    assert time.monotonic() - began < 3
    assert lost["kind"] == "handover" and "cannot look this up" in lost["text"]
    wait_for(lambda: health()["status"] == "ok")
    assert ask()["kind"] == "answer"


def check_export(files: dict[str, str], out: Path) -> None:
    export = [*COMMAND, "export", "--data-dir", files["--data-dir"], "--unsure", "--out", str(out)]
    subprocess.run(export, check=True)
    with out.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert [*rows[0]] == ["text", "label", "suggested", "score", "kind", "id"]
    assert {row["kind"] for row in rows} == {"handover"} and len(rows) == 2
