"""One check for every task: train, evaluate, export, fresh process, server and client agree."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serving.client import Client
from tfpipe.config import EvaluateConfig, ExportConfig, TrainConfig
from tfpipe.data.examples import Examples
from tfpipe.evaluate import evaluate
from tfpipe.export import export
from tfpipe.exporting.info import read_info
from tfpipe.tasks import TASKS
from tfpipe.tasks.task import Outputs
from tfpipe.train import train


def check_task(config: TrainConfig, folder: Path, at_least: float = 0.8) -> None:
    """Take `config` through the whole house and hold every room's answers against the first.

    at_least: what the task's first figure reaches on dev.
    """
    run = train(config)
    files = {path.name for path in run.folder.iterdir()}
    assert files >= {
        *("config.yaml", "model", "checkpoints", "logs"),
        *("metrics.json", "report.html", "predictions.tsv"),
    }

    evaluation = evaluate(EvaluateConfig(run=str(run.folder)))
    # The last digits of the loss depend on which texts share a batch.
    assert evaluation.metrics == pytest.approx(run.metrics["dev"], rel=1e-5)
    assert set(evaluation.metrics) >= {*TASKS[config.task].metrics, "examples"}
    assert evaluation.metrics[config.best_metric] > at_least
    dev = run.read_dev()
    lines = (run.folder / "predictions.tsv").read_text(encoding="utf-8").splitlines()
    assert lines[0].split("\t") == ["text", "gold", "predicted", "score"]
    assert len(lines) == 1 + len(dev) == 1 + evaluation.metrics["examples"]

    to = str(folder / "models" / "tiny")
    settings = ExportConfig(
        run=str(run.folder),
        to=to,
        precision="float32",
        measure_serving=False,
        require=f"dev.{config.best_metric}>{at_least}",
    )
    version = export(settings).folder
    assert version == folder / "models" / "tiny" / "1"
    info = read_info(version)
    assert info is not None and info["task"] == config.task

    base = str(version.parent.resolve())
    command = [sys.executable, "-m", "serving.server", "--port=0", "--model_name=tiny"]
    server = subprocess.Popen(
        [*command, f"--model_base_path={base}"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        ready = server.stdout.readline()
        port = int(ready.rsplit(":", 1)[1].split()[0])
        with Client(f"localhost:{port}", model="tiny") as client:
            answers = ask(client, config.task, dev)
    finally:
        server.terminate()
        assert server.wait(timeout=30) == 0
    assert_equal(answers, evaluation.outputs)


def ask(client: Client, task: str, dev: Examples) -> Sequence[Any]:
    """The answers of the client's verb for the task, one an example."""
    columns = [list(dev.texts), *([list(dev.text_pairs)] if dev.text_pairs else [])]
    return getattr(client, TASKS[task].verb)(*columns)


def assert_equal(answers: Sequence[Any], outputs: Outputs) -> None:
    """Answers with the outputs as attributes, or lists of such, are those of training."""
    for name, expected in outputs.items():
        if answers and isinstance(answers[0], list):
            # Rows are filled up to the longest.
            found: Any = [[getattr(one, name) for one in row] for row in answers]
            used = [row[: len(kept)] for row, kept in zip(expected.tolist(), found, strict=True)]
            assert all(
                not any(row[len(kept) :])
                for row, kept in zip(outputs["entity"].tolist(), found, strict=True)
            )
            flat = [value for row in found for value in row]
            wanted = np.array([value for row in used for value in row])
        else:
            flat, wanted = [getattr(answer, name) for answer in answers], expected
        if wanted.dtype.kind == "f":
            np.testing.assert_allclose(np.array(flat), wanted, atol=1e-5)
        else:
            np.testing.assert_array_equal(np.array(flat), wanted)
