"""The scripts of the serving images, on our server as on TensorFlow Serving."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.dockerfile import ROOT
from tests.serving_models import save_classifier
from tests.support.waiting import free_port

BASH = shutil.which("bash")
DEPLOY = ROOT / "serving" / "deploy"
pytestmark = pytest.mark.skipif(BASH is None, reason="the images' scripts are written for bash")


def command_line(models: Path, *given: str, name: str = "support") -> subprocess.CompletedProcess:
    """What serve.sh starts, a word a line: the server is printf."""
    env = {**os.environ, "MODEL_NAME": name, "MODEL_BASE_PATH": str(models)}
    words = [str(BASH), str(DEPLOY / "serve.sh"), "printf", r"%s\n", *given]
    return subprocess.run(words, env=env, capture_output=True, text=True)


def usual(models: Path) -> list[str]:
    return [
        "--port=8500",
        "--rest_api_port=8501",
        "--model_name=support",
        f"--model_base_path={models}/support",
        f"--monitoring_config_file={DEPLOY}/monitoring.config",
    ]


def write_flags(folder: Path, text: str) -> Path:
    extra = folder / "assets.extra"
    extra.mkdir(parents=True)
    (extra / "tensorflow_model_server.flags").write_text(text)
    return extra


def test_without_measured_flags(tmp_path: Path) -> None:
    done = command_line(tmp_path)
    assert done.returncode == 0 and done.stdout.splitlines() == usual(tmp_path)
    (tmp_path / "support" / "1").mkdir(parents=True)
    done = command_line(tmp_path, "--port=9", "--model_name=a b")
    assert done.stdout.splitlines() == [*usual(tmp_path), "--port=9", "--model_name=a b"]


def test_the_newest_versions_flags_come_before_the_callers(tmp_path: Path) -> None:
    models = tmp_path / "with space"
    write_flags(models / "support" / "9", "--enable_batching\n")
    write_flags(models / "support" / ".11.5.tmp", "--version\n")
    extra = write_flags(
        models / "support" / "10",
        "# 120 texts/s\n\n--enable_batching=true\n--tensorflow_intra_op_parallelism=2\n"
        "  --batching_parameters_file=batching_parameters.txt\n--ssl_config_file=/etc/ssl.txt",
    )
    done = command_line(models, "--tensorflow_intra_op_parallelism=4")
    assert done.stdout.splitlines() == [
        *usual(models),
        "--enable_batching=true",
        "--tensorflow_intra_op_parallelism=2",
        f"--batching_parameters_file={extra}/batching_parameters.txt",
        "--ssl_config_file=/etc/ssl.txt",
        "--tensorflow_intra_op_parallelism=4",
    ]


def test_what_is_no_flag_is_refused(tmp_path: Path) -> None:
    write_flags(tmp_path / "support" / "1", "--enable_batching\nrm -rf /\n")
    done = command_line(tmp_path)
    assert done.returncode == 2 and "is no flag: rm -rf /" in done.stderr and not done.stdout


def test_a_model_must_be_named(tmp_path: Path) -> None:
    done = command_line(tmp_path, name="")
    assert done.returncode and "MODEL_NAME=support" in done.stderr


def test_our_server_starts_so_and_is_healthy(tmp_path: Path) -> None:
    save_classifier(tmp_path / "support" / "3")
    extra = write_flags(
        tmp_path / "support" / "3",
        "--enable_batching\n--batching_parameters_file=batching_parameters.txt\n",
    )
    (extra / "batching_parameters.txt").write_text("max_batch_size { value: 8 }\n")
    env = {**os.environ, "MODEL_NAME": "support", "MODEL_BASE_PATH": str(tmp_path)}
    server = [sys.executable, "-m", "serving.server"]
    port = free_port()
    words = [str(BASH), str(DEPLOY / "serve.sh"), *server, "--port=0", f"--rest_api_port={port}"]
    env["PYTHONPATH"] = str(ROOT)
    healthy = [str(BASH), str(DEPLOY / "healthy.sh")]
    asked = env | {"REST_PORT": str(port)}
    with subprocess.Popen(words, env=env, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            assert "serving support version 3" in process.stdout.readline()
            assert subprocess.run(healthy, env=asked).returncode == 0
            other = asked | {"MODEL_NAME": "other"}
            assert subprocess.run(healthy, env=other).returncode != 0
            page = f"http://127.0.0.1:{port}/monitoring/prometheus/metrics"
            with urllib.request.urlopen(page) as answer:
                assert b":tensorflow:serving:request_count" in answer.read()
        finally:
            process.terminate()
        assert process.wait(30) == 0
    closed = subprocess.run(healthy, env=asked, capture_output=True)
    assert closed.returncode != 0
