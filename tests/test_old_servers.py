"""Exports answer under the TensorFlow of earlier servers as under the one that wrote them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.exports import exported
from tests.support.runs import finished_run
from tfpipe.config import ExportConfig
from tfpipe.export import export

pytestmark = pytest.mark.old_servers

ROOT = Path(__file__).parents[1]
WORKER = Path(__file__).parent / "old_servers" / "answer.py"
VERSIONS = sorted(path.stem for path in WORKER.parent.glob("*.txt"))
KINDS = ("classify", "multilabel", "regress", "tag", "qa")
TEXTS = [
    "Where is my card?",
    "我的卡在哪里？",
    "refund 😀 now",
    "",
    " ",
    "money back " * 400,
    "é\u0301",
]
IDS = {
    "input_ids": [[2, 9, 8, 7, 3], [2, 6, 3, 0, 0]],
    "attention_mask": [[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]],
    "token_type_ids": [[0, 0, 0, 0, 0], [0, 0, 0, 0, 0]],
}
# Answers of bfloat16 may differ by its rounding, as between two machines.
TOLERANCES = {"float32": 1e-5, "bfloat16": 2e-2}


def answers_of(python: Path | str, place: Path, folder: Path) -> list[dict[str, Any]]:
    """Ask the export in a process of this Python."""
    second = [text[::-1] or "context" for text in TEXTS]
    columns = {"text": TEXTS, "text_pair": second, "question": TEXTS, "context": second}
    requests = [["serving_default", columns], ["embed", columns], ["ids", IDS], ["info", {}]]
    (folder / "requests.json").write_text(json.dumps(requests), "utf-8")
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    command = [str(python), str(WORKER), str(place), "requests.json", "answers.json"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    found: list[dict[str, Any]] = json.loads((folder / "answers.json").read_text("utf-8"))
    return found


def assert_equal(found: list[dict[str, Any]], expected: list[dict[str, Any]], most: float) -> None:
    assert len(found) == len(expected)
    for answer, wanted in zip(found, expected, strict=True):
        assert answer.keys() == wanted.keys()
        for name, values in wanted.items():
            array = np.array(values)
            if array.dtype.kind == "f":
                np.testing.assert_allclose(answer[name], array, rtol=1e-6, atol=most, err_msg=name)
            else:
                assert answer[name] == values, name


@pytest.fixture(scope="module", params=[*KINDS, "bfloat16"])
def written(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A version, its answers under the TensorFlow that wrote it, and the tolerance."""
    folder = tmp_path_factory.mktemp("answers")
    if request.param == "bfloat16":
        config = ExportConfig(
            run=str(finished_run("classify").folder),
            to=str(folder / "models" / "tiny"),
            precision="bfloat16",
            measure_serving=False,
        )
        place = Path(export(config).folder)
    else:
        place = Path(exported(request.param).folder)
    most = TOLERANCES.get(request.param, TOLERANCES["float32"])
    return place, answers_of(sys.executable, place, folder), most


@pytest.mark.parametrize("version", VERSIONS)
def test_an_earlier_tensorflow_answers_equally(written: Any, version: str, tmp_path: Path) -> None:
    python = ROOT / "build" / "old-servers" / version / "bin" / "python"
    if not python.is_file():
        pytest.skip(f"no {python.relative_to(ROOT)}: `make test-old-servers` installs it")
    place, expected, most = written
    assert_equal(answers_of(python, place, tmp_path), expected, most)
