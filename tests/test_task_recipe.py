"""The recipe for a new task in docs/adding/task.md, followed to the letter in a copy."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from serving.client import Client
from tests.support.data import write_messages
from tests.support.servers import served

ROOT = Path(__file__).parents[1]
# Every command in one process: each alone would import TensorFlow again.
COMMANDS = """
import contextlib, importlib, io, json, sys
for module, *arguments in json.loads(sys.argv[1]):
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        status = importlib.import_module(module).main(arguments)
    print(json.dumps([module, status, printed.getvalue()]), flush=True)
"""
SETTINGS = ["--train", "messages.tsv", "--model", "tiny", "--max-length", "16"]
SETTINGS += ["--task", "sentiment", "--class-weights", "balanced", "--precision", "float32"]


def recipe() -> dict[str, str]:
    """The code blocks of the recipe by the file that the page names before each."""
    text = (ROOT / "docs" / "adding" / "task.md").read_text(encoding="utf-8")
    found = re.findall(r"^`(tfpipe/\S+\.py)`: .*?^```python\n(.*?)^```", text, re.M | re.S)
    return dict(found)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the packages with the recipe's task in it, and a file to learn from."""
    folder = tmp_path_factory.mktemp("recipe")
    for name in ("tfpipe", "serving"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    registry = "tfpipe/tasks/__init__.py"
    files = recipe()
    assert [*files] == [
        *(f"tfpipe/tasks/sentiment/{name}.py" for name in ("labels", "task", "spec")),
        registry,
    ]
    (folder / "tfpipe" / "tasks" / "sentiment").mkdir()
    (folder / "tfpipe" / "tasks" / "sentiment" / "__init__.py").touch()
    for name, code in files.items():
        before = (folder / name).read_text(encoding="utf-8") if name == registry else ""
        (folder / name).write_text(before + code, encoding="utf-8")
    write_messages(folder / "messages.tsv", rows=90)
    return folder


def environment(project: Path) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(project)}


def run(project: Path, *commands: list[str]) -> dict[str, str]:
    """Run `tfpipe.VERB ...` one after the other; returns what each printed, by module."""
    done = subprocess.run(
        [sys.executable, "-c", COMMANDS, json.dumps(commands)],
        cwd=project,
        env=environment(project),
        capture_output=True,
        text=True,
    )
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [status for _, status, _ in found] == [0] * len(commands), done.stderr[-3000:]
    return {module: printed for module, _, printed in found}


def test_a_new_task_is_trained_and_evaluated(project: Path) -> None:
    printed = run(
        project,
        ["tfpipe.train", *SETTINGS, "--epochs", "1", "--output", "runs/short"],
        ["tfpipe.evaluate", "runs/short", "--data", "messages.tsv", "--json"],
        ["tfpipe.predict", "runs/short", "--data", "messages.tsv", "--out", "short.tsv"],
    )
    metrics = json.loads((project / "runs" / "short" / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["task"] == "sentiment" and "macro_f1" in metrics["dev"]
    page = (project / "runs" / "short" / "report.html").read_text(encoding="utf-8")
    assert "Sentiment of texts" in page and "A model for the task sentiment: " in page
    assert json.loads(printed["tfpipe.evaluate"])["examples"] == 90
    rows = (project / "short.tsv").read_text(encoding="utf-8").splitlines()
    assert len(rows) == 91 and rows[0].startswith("text\tlabel\tscore")


@pytest.mark.slow
def test_a_new_task_goes_through_every_command(project: Path) -> None:
    english = ["tfpipe.train", *SETTINGS, "--epochs", "3", "--output", "runs/a"]
    chinese = ["tfpipe.train", *SETTINGS, "--epochs", "1", "--output", "runs/b"]
    printed = run(
        project,
        english,
        [*chinese, "--language", "zh"],
        ["tfpipe.evaluate", "runs/a", "--data", "messages.tsv", "--json"],
        ["tfpipe.compare", "runs/a", "runs/b", "--data", "messages.tsv", "--json"],
        ["tfpipe.predict", "runs/a", "--data", "messages.tsv", "--out", "answers.tsv", "--scores"],
        ["tfpipe.export", "runs/a", "--to", "models/feelings", "--no-measure-serving"],
        ["tfpipe.doctor", "models/feelings", "--json"],
    )
    # The best epoch is chosen by the task's own first metric.
    metrics = json.loads((project / "runs" / "a" / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["task"] == "sentiment" and metrics["dev"]["macro_f1"] > 0
    page = (project / "runs" / "a" / "report.html").read_text(encoding="utf-8")
    assert "Sentiment of texts" in page and "A model for the task sentiment: " in page
    page = (project / "runs" / "b" / "report.html").read_text(encoding="utf-8")
    assert "文本情感分析" in page and "用于任务 sentiment 的模型" in page
    card = (project / "runs" / "a" / "model" / "README.md").read_text(encoding="utf-8")
    assert "the task `sentiment`" in card and "pipeline_tag: text-classification" in card
    assert json.loads(printed["tfpipe.evaluate"])["examples"] == 90
    compared = json.loads(printed["tfpipe.compare"])
    assert {"macro_f1", "accuracy"} <= set(compared["figures"])
    rows = (project / "answers.tsv").read_text(encoding="utf-8").splitlines()
    assert len(rows) == 91 and rows[0].startswith("text\tlabel\tscore\tscore.card")
    commands = json.dumps(json.loads(printed["tfpipe.doctor"])["commands"])
    assert "serving.client classify --model feelings" in commands

    flags = ["--model_name=feelings", f"--model_base_path={project / 'models' / 'feelings'}"]
    with served(*flags, cwd=project, env=environment(project)) as target:
        with Client(target, model="feelings") as client:
            answers = client.classify([row.split("\t")[0] for row in rows[1:]])
        again = ["--target", target, "--model", "feelings", "--out", "served.tsv", "--scores"]
        run(project, ["tfpipe.predict", "--data", "messages.tsv", *again])
    assert [answer.label for answer in answers] == [row.split("\t")[1] for row in rows[1:]]
    assert (project / "served.tsv").read_text(encoding="utf-8").splitlines()[0] == rows[0]


def test_what_means_nothing_to_the_new_task_is_refused(project: Path) -> None:
    command = [sys.executable, "-m", "tfpipe.train", "--task", "sentiment", "--abstain", "0.05"]
    done = subprocess.run(
        command, cwd=project, env=environment(project), capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "--task sentiment has no --abstain: every text has a sentiment" in done.stderr
