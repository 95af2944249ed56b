"""From a text file to a served answer: training, fresh process, server and client agree."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serving.client import Client
from tests.support.exports import exported
from tests.support.runs import ALL_KINDS, KINDS, SLOW_KINDS, finished_run
from tests.support.servers import served
from tfpipe.config import EvaluateConfig
from tfpipe.data.examples import Examples
from tfpipe.evaluate import evaluate
from tfpipe.exporting.info import read_info
from tfpipe.tasks import TASKS
from tfpipe.tasks.task import Outputs

QUICK = [kind for kind in KINDS if kind not in ("abstain", "windows")]


@contextlib.contextmanager
def serve_kinds(kinds: Sequence[str], folder: Path) -> Iterator[str]:
    """Serve the exports of `kinds` in a process of its own; yields host:port."""
    models = "".join(
        f'config {{ name: "{kind}" base_path: "{Path(exported(kind).folder).parent}" '
        'model_platform: "tensorflow" }\n'
        for kind in kinds
    )
    config = folder / "models.config"
    config.write_text(f"model_config_list {{\n{models}}}\n", encoding="utf-8")
    with served(f"--model_config_file={config}") as target:
        yield target


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serve_kinds(QUICK, tmp_path_factory.mktemp("flow")) as target:
        yield target


@pytest.mark.parametrize("kind", QUICK)
def test_a_task_from_training_to_served_answers(kind: str, server: str) -> None:
    check_kind(kind, server)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["windows", *SLOW_KINDS])
def test_other_trainings(kind: str, tmp_path: Path) -> None:
    with serve_kinds([kind], tmp_path) as target:
        check_kind(kind, target)


def check_kind(kind: str, target: str) -> None:
    """Hold the answers of evaluation and of the server against those of training."""
    run = finished_run(kind)
    config = run.config
    files = {path.name for path in run.folder.iterdir()}
    assert files >= {
        *("config.yaml", "model", "checkpoints", "logs"),
        *("metrics.json", "report.html", "predictions.tsv"),
    }

    evaluation = evaluate(EvaluateConfig(run=str(run.folder)))
    # The last digits of the loss depend on which texts share a batch.
    assert evaluation.metrics == pytest.approx(run.metrics["dev"], rel=1e-5)
    graded = {"spearman"} if kind.startswith("embed") and kind != "embed_graded" else set()
    assert set(evaluation.metrics) >= {*TASKS[config.task].metrics, "examples"} - graded
    assert evaluation.metrics[config.best_metric] > ALL_KINDS[kind].at_least
    dev = run.read_dev()
    lines = (run.folder / "predictions.tsv").read_text(encoding="utf-8").splitlines()
    assert lines[0].split("\t") == ["text", "gold", "predicted", "score"]
    assert len(lines) == 1 + len(dev) == 1 + evaluation.metrics["examples"]

    version = Path(exported(kind).folder)
    assert version.parts[-3:] == ("models", "tiny", "1")
    info = read_info(version)
    assert info is not None and info["task"] == config.task
    with Client(target, model=kind) as client:
        answers = ask(client, config.task, dev)
    assert_equal(answers, evaluation.outputs)


def ask(client: Client, task: str, dev: Examples) -> Sequence[Any]:
    """The answers of the client's verb for the task, one for each text that is served."""
    dev = TASKS[task].task_class.served_texts(dev)
    columns = [list(dev.texts), *([list(dev.text_pairs)] if dev.text_pairs else [])]
    return getattr(client, TASKS[task].verb)(*columns)


def assert_equal(answers: Sequence[Any], outputs: Outputs) -> None:
    """Answers with the outputs as attributes, or lists of such, are those of training."""
    for name, expected in outputs.items():
        if name == "embedding":
            np.testing.assert_allclose(np.stack(answers), expected, atol=1e-5)
            continue
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
