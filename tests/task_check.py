"""One check for every task: train, evaluate, export, fresh process, server and client agree."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from serving.client import Client
from tfpipe.config import EvaluateConfig, ExportConfig, TrainConfig
from tfpipe.evaluate import evaluate
from tfpipe.export import export
from tfpipe.train import train


def check_task(config: TrainConfig, folder: Path) -> None:
    """Take `config` through the whole house and hold every room's answers against the first."""
    run = train(config)
    files = {path.name for path in run.folder.iterdir()}
    assert files >= {
        *("config.yaml", "model", "checkpoints", "logs"),
        *("metrics.json", "report.html", "predictions.tsv"),
    }

    evaluation = evaluate(EvaluateConfig(run=str(run.folder)))
    # The last digits of the loss depend on which texts share a batch.
    assert evaluation.figures == pytest.approx(run.metrics["dev"], rel=1e-5)
    assert evaluation.figures["accuracy"] > 0.8

    to = str(folder / "models" / "tiny")
    settings = ExportConfig(str(run.folder), to, precision="float32", measure_serving=False)
    version = export(settings).folder
    assert version == folder / "models" / "tiny" / "1"

    dev = run.read_dev()
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
            answers = client.classify(list(dev.texts), dev.text_pairs and list(dev.text_pairs))
    finally:
        server.terminate()
        assert server.wait(timeout=30) == 0
    names = [evaluation.label_names[column] for column in evaluation.predicted]
    assert [answer.label for answer in answers] == names
    served = np.stack([answer.scores for answer in answers])
    np.testing.assert_allclose(served, evaluation.scores, atol=1e-5)
