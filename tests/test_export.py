"""The command: what is refused leaves nothing, what is killed leaves the old state or the new."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from tests.serving_models import save_classifier
from tests.support import commands
from tests.support.data import write_messages
from tfpipe import fork_server
from tfpipe.doctoring.serving_lines import read_flags
from tfpipe.export import Export, main
from tfpipe.exporting import serving_benchmark
from tfpipe.exporting.info import read_info
from tfpipe.exporting.server_flags import BATCHING_FILE, FLAGS_FILE
from tfpipe.exporting.serving_benchmark import MIN_ROUNDS
from tfpipe.locations import list_versions
from tfpipe.run_folder import Run

ROOT = Path(__file__).parents[1]


def names(folder: Path) -> list[str]:
    """What is in a folder, apart from the copy of a version's batching parameters."""
    return sorted(child.name for child in folder.iterdir() if child.name != BATCHING_FILE.name)


def start_export(run: Path, to: Path) -> subprocess.Popen:
    command = [sys.executable, "-m", "tfpipe.export", str(run), "--to", str(to)]
    command.append("--no-measure-serving")
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@pytest.fixture
def base(published: tuple[Run, Export], tmp_path: Path) -> Path:
    """FOLDER/NAME with the published version as versions 1 and 2."""
    for number in ("1", "2"):
        shutil.copytree(published[1].folder, tmp_path / "models" / "tiny" / number)
    return tmp_path / "models" / "tiny"


def test_a_model_that_the_gate_refuses_leaves_nothing(
    published: tuple[Run, Export], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    to = tmp_path / "models" / "tiny"
    arguments = [str(published[0].folder), "--to", str(to)]
    assert main([*arguments, "--require", "dev.loss<1", "--require", "dev.accuracy>1"]) == 2
    reported = capsys.readouterr()
    assert reported.out == "" and "Traceback" not in reported.err
    assert "required dev.accuracy>1" in reported.err and "nothing was published" in reported.err
    assert names(tmp_path) == []


def test_what_can_be_refused_early_is(
    published: tuple[Run, Export], base: Path, capsys: pytest.CaptureFixture, tmp_path: Path
) -> None:
    run = str(published[0].folder)
    other = tmp_path / "models" / "other"
    save_classifier(other / "1", {"labels": ["card", "money", "weather"]})
    unfinished = tmp_path / "unfinished"
    shutil.copytree(published[0].folder, unfinished)
    (unfinished / "metrics.json").unlink()
    for arguments, said in (
        ([str(unfinished), "--to", str(base)], "the run is not finished"),
        ([run, "--to", str(base), "--version", "2"], "this version exists"),
        ([run, "--to", str(base), "--require", "dev.acuracy>1"], "did you mean 'dev.accuracy'?"),
        ([run, "--to", str(base), "--not-worse-than", str(base / "3")], "names no version"),
        ([run, "--to", str(base), "--keep", "0"], "--keep is out of range"),
        ([run, "--to", str(base), "--model-config", "x"], "has no effect without --keep"),
        ([run, "--to", str(other)], "gone 'money'"),
        ([run, "--to", str(tmp_path / "unfinished" / "config.yaml" / "x")], "cannot be written"),
    ):
        assert main(arguments) == 2
        reported = capsys.readouterr()
        assert said in reported.err and reported.out == ""
        assert "the graph is written" not in reported.err
    assert names(base) == ["1", "2"] and names(other) == ["1"]


def check_measured(folder: Path, serving: dict[str, Any]) -> None:
    """The figures are those of a measuring, and the same ones beside the model."""
    assert serving["rounds"] >= MIN_ROUNDS and serving["cores"] <= (os.cpu_count() or 1)
    measured = serving["measured"]
    threads = {row["intra_op_parallelism"] for row in measured}
    assert 0 in threads and len(measured) == 4 * len(threads)
    assert [row["rows"] for row in measured[:4]] == [1, 1, 8, 32]
    assert all(row["texts_per_second"] > 0 and row["p50_ms"] > 0 for row in measured)
    lone = measured[0]
    # One client asks one text after the other: the mean cannot be far below the median.
    assert lone["clients"] == 1 and lone["texts_per_second"] * lone["p50_ms"] < 2000
    text = (folder / FLAGS_FILE).read_text()
    assert f"{lone['texts_per_second']:.0f}/s " in text
    read = read_flags(folder, "")
    assert [flag.replace("=/", "=") for flag in read] == serving["flags"]
    batching = "--enable_batching=true" in read
    # The copy beside the versions outlives this one.
    for place in (folder / BATCHING_FILE, folder.parent / BATCHING_FILE.name):
        assert place.exists() == batching


def test_a_kill_is_survived_and_old_versions_go(
    published: tuple[Run, Export],
    base: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    command = ["tfpipe.export", published[0].folder, "--to", base, "--no-measure-serving"]
    with commands.start(*command, streams=fork_server.NO_INPUT) as process:
        while not list(base.glob(".*/saved_model.pb")):
            assert process.poll() is None
            time.sleep(0.05)
    assert len(names(base)) == 3 and set(list_versions(base)) == {1, 2}

    config = tmp_path / "models.config"
    config.write_text(
        'model_config_list { config { name: "tiny" base_path: "/m" model_platform: "tensorflow"'
        ' version_labels { key: "stable" value: 1 } } }'
    )
    arguments = [str(published[0].folder), "--to", str(base), "--json", "--version", "7"]
    duel = ["--not-worse-than", str(base / "2")]
    monkeypatch.setattr(serving_benchmark, "MAX_ROUNDS", MIN_ROUNDS)
    assert main([*arguments, *duel, "--keep", "1", "--model-config", str(config)]) == 0
    reported = capsys.readouterr()
    assert names(base) == ["1", "7"]
    result = json.loads(reported.out)
    assert (result["version"], result["removed"]) == (7, [2])
    assert result["gate"]["not_worse_than"]["p_value"] == 1.0
    assert re.search(r"^ *\d+\.\d s: removed old versions: 2$", reported.err, re.MULTILINE)
    assert "\nnext:\n  python -m serving.server --model_name=tiny" in reported.err
    info = read_info(base / "7")
    assert info and info["gate"] == result["gate"]
    check_measured(base / "7", info["serving"])


@pytest.mark.slow
def test_killed_at_twenty_moments(published: tuple[Run, Export], base: Path) -> None:
    """The old state or the new is there and loads, and the next export clears the rest away."""
    began = time.perf_counter()
    assert start_export(published[0].folder, base).wait() == 0
    seconds = time.perf_counter() - began
    versions = {1, 2, 3}
    for moment in range(20):
        process = start_export(published[0].folder, base)
        # Most of the first half is imports; the last moments are around the publish itself.
        time.sleep(seconds * (0.4 + 0.65 * moment / 19))
        process.send_signal(signal.SIGKILL)
        process.wait()
        now = set(list_versions(base))
        assert versions <= now and len(now - versions) <= 1
        for number in now - versions:
            model = tf.saved_model.load(str(base / str(number)))
            answer = model.signatures["serving_default"](text=tf.constant(["my card"]))
            assert answer["scores"].shape == (1, 3)
        versions = now
    assert start_export(published[0].folder, base).wait() == 0
    assert names(base) == sorted(str(number) for number in versions | {max(versions) + 1})


@pytest.mark.slow
def test_a_disk_that_is_really_full(published: tuple[Run, Export], tmp_path: Path) -> None:
    alone = ["unshare", "-rm"]
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = f"mount -t tmpfs -o size=1m none {disk}"
    if not shutil.which("unshare") or subprocess.run([*alone, "sh", "-c", mount]).returncode:
        pytest.skip("a small disk of one's own cannot be had here")
    export = f"{sys.executable} -m tfpipe.export {published[0].folder} --to {disk}/models/tiny"
    export += " --no-measure-serving"
    done = subprocess.run(
        [*alone, "sh", "-c", f"{mount} && {export}; echo $?; ls -A {disk}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=dict(os.environ),
    )
    assert done.stdout.split() == ["2"], done.stderr
    assert "the disk is full, nothing was published" in done.stderr


@pytest.mark.slow
def test_two_exports_at_once_both_get_a_number(
    published: tuple[Run, Export], tmp_path: Path
) -> None:
    to = tmp_path / "models" / "tiny"
    both = [start_export(published[0].folder, to) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    assert names(to) == ["1", "2"]
    for folder in list_versions(to).values():
        assert read_info(folder)["parity"]["fresh_process"]["texts"] == 24


def test_data_of_its_own_needs_its_columns(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    data = write_messages(tmp_path / "dev.tsv", rows=3)
    assert main(["r", "--to", "m", "--text", "x", "--data", str(data)]) == 2
    assert "--data has no effect without --not-worse-than" in capsys.readouterr().err
