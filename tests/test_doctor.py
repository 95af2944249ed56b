"""The doctor on real things, whole and broken."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from serving.client.cli.answer_output import TEXT_VERBS
from serving.client.cli.commands import find_rows
from serving.client.cli.parser import build_parser
from tests.dockerfile import ROOT, read_dockerfile
from tests.serving_models import save_classifier, save_half_plus_two, save_task
from tfpipe import doctor, library_settings
from tfpipe.config import DoctorConfig
from tfpipe.doctoring import libraries, packages, serving_lines
from tfpipe.doctoring.export_folder import describe_labels, describe_warm_up
from tfpipe.doctoring.findings import Finding, in_units
from tfpipe.doctoring.vocabulary import describe_measured
from tfpipe.errors import UserError
from tfpipe.export import Export
from tfpipe.exporting.client_command import client_command
from tfpipe.io.locks import training_lock
from tfpipe.model import starter
from tfpipe.run_folder import Run


@pytest.fixture(scope="module")
def run(published: tuple[Run, Export]) -> Run:
    return published[0]


@pytest.fixture(scope="module")
def exported(published: tuple[Run, Export]) -> Path:
    return Path(published[1].folder)


def examine(subject: Path | str | None, **more: Any) -> dict[str, Finding]:
    """Findings by name."""
    diagnosis = doctor.examine(
        DoctorConfig(subject=None if subject is None else str(subject), **more)
    )
    return {finding.about: finding for finding in diagnosis.findings}


def marks(found: dict[str, Finding], mark: str) -> set[str]:
    return {about for about, finding in found.items() if finding.mark == mark}


# ---- the command ----------------------------------------------------------------------------


def test_told_in_lines_and_as_json(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor.main([str(run.folder)]) == 0
    *lines, last = capsys.readouterr().out.splitlines()
    assert lines[0] == "ok       The run is finished." and last == "no problem, 0 notes"
    assert f"  python -m tfpipe.evaluate {run.folder}" in lines
    assert doctor.main([str(run.folder), "--json"]) == 0
    reported = json.loads(capsys.readouterr().out)
    assert (reported["kind"], reported["subject"], reported["problems"]) == (
        "run",
        str(run.folder),
        0,
    )
    first = reported["findings"][0]
    assert first["about"] == "finished" and first["mark"] == "ok" and first["value"] is True
    assert all(set(command) == {"purpose", "line"} for command in reported["commands"])


def test_a_problem_gives_status_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.tsv").write_text("text\tlabel\na\tx\nb\tx\n")
    assert doctor.main([str(tmp_path / "a.tsv")]) == 2
    out = capsys.readouterr().out
    assert "problem  there is only one label" in out and out.endswith("\n1 problem, 0 notes\n")


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("absent", "the subject is missing"),
        ("folder", "the folder is neither a run nor an export"),
    ],
)
def test_what_is_nothing_of_ours(tmp_path: Path, name: str, wrong: str) -> None:
    (tmp_path / "folder" / "1").mkdir(parents=True)
    with pytest.raises(UserError) as caught:
        examine(tmp_path / name)
    assert caught.value.wrong == wrong
    with pytest.raises(UserError, match="did you mean 'folder'"):
        examine(tmp_path / "foldr")


def test_bytes_are_told_as_people_read_them() -> None:
    counts = (0, 999, 1000, 7_400_000, 740_000_000, 12_000_000_000)
    reported = ["0 bytes", "999 bytes", "1.0 kB", "7.4 MB", "740 MB", "12.0 GB"]
    assert [in_units(count) for count in counts] == reported


# ---- the environment ------------------------------------------------------------------------


def run_doctor(**variables: str) -> tuple[int, dict[str, dict]]:
    """The command in a process of its own, in this environment with some variables changed."""
    free = {k: v for k, v in os.environ.items() if k not in library_settings.NEEDED}
    done = subprocess.run(
        [sys.executable, "-m", "tfpipe.doctor", "--json"],
        cwd=ROOT,
        env={**free, **variables},
        capture_output=True,
        text=True,
    )
    findings = json.loads(done.stdout)["findings"]
    return done.returncode, {finding["about"]: finding for finding in findings}


@pytest.mark.slow
def test_this_environment() -> None:
    status, found = run_doctor()
    assert status == 0
    assert found["TF_USE_LEGACY_KERAS"]["mark"] == "note"
    check_libraries(found)


def check_libraries(found: dict[str, dict]) -> None:
    """The libraries and devices that this process sees, too."""
    seen = {name: found[f"keras.{name}"]["value"] for name in ("tensorflow", "transformers")}
    assert seen == {"tensorflow": "tf_keras", "transformers": "tf_keras"}
    assert found["keras.keras_tuner"]["value"] == "keras"
    assert found["packages"]["value"]["tensorflow"] == tf.__version__
    assert found["tensorflow"]["value"]["gpus"] == [
        tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name)
        for gpu in tf.config.list_physical_devices("GPU")
    ]
    expected = {"python", "torch", "starter", "system", "cores", "processor", "memory", "disk"}
    assert expected | {"cache", "gpus"} <= set(found)


def test_a_setting_that_is_missing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "nothing.py").touch()
    monkeypatch.setattr(libraries, "WORKER", tmp_path / "nothing.py")
    monkeypatch.setattr(libraries, "REPLACED", {})
    for given, mark in ((True, "ok"), (False, "note")):
        monkeypatch.setattr(libraries, "LEGACY_KERAS_GIVEN", given)
        found = {finding.about: finding for finding in libraries.check_libraries()}
        assert found["TF_USE_LEGACY_KERAS"].mark == mark


def test_what_tfpipe_sets_for_itself_is_named(tmp_path: Path) -> None:
    (tmp_path / "keras.json").write_text('{"floatx": "float16", "backend": "tensorflow"}')
    leftover = {"TF_USE_LEGACY_KERAS": "0", "USE_TF": "0", "KERAS_BACKEND": "torch"}
    status, found = run_doctor(KERAS_HOME=str(tmp_path), **leftover)
    assert status == 0
    check_libraries(found)
    leftover[f"{tmp_path}/keras.json: floatx"] = '"float16"'
    assert leftover == {
        about: finding["value"]
        for about, finding in found.items()
        if finding["mark"] == "note" and "for itself" in finding["sentence"]
    }
    assert found["USE_TF"]["sentence"] == "USE_TF=0 is set; tfpipe sets USE_TF=1 for itself."


def test_a_library_that_fails_is_named(tmp_path: Path) -> None:
    (tmp_path / "transformers.py").write_text("import os; print('LLVM'); os.abort()\n")
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    status, found = run_doctor(PYTHONPATH=path, TF_USE_LEGACY_KERAS="1")
    assert status == 2
    assert found["TF_USE_LEGACY_KERAS"]["mark"] == "ok"
    assert found["imports"]["sentence"].startswith("Importing transformers failed")
    assert found["keras.tensorflow"]["mark"] == "ok" and "keras.transformers" not in found


def test_versions_outside_the_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = ["numpy<1", "no-such-package>=2", "pyyaml>=6", 'absent>1; extra == "dev"']
    monkeypatch.setattr(packages.importlib.metadata, "requires", lambda name: lines)
    found = {finding.about: finding for finding in packages.check_packages()}
    assert marks(found, "problem") == {"packages.numpy", "packages.no-such-package"}
    assert "1 of 3 required packages" in found["packages"].sentence


def test_the_client_is_not_installed_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    about = "packages.tfpipe-client"
    assert about not in {finding.about for finding in packages.check_packages()}
    version = packages.importlib.metadata.version
    both = {"tfpipe-client": "0.1.0"}
    monkeypatch.setattr(
        packages.importlib.metadata, "version", lambda name: both.get(name) or version(name)
    )
    found = {finding.about: finding for finding in packages.check_packages()}
    assert found[about].mark == "problem" and found[about].value == "0.1.0"
    assert "pip uninstall tfpipe-client" in found[about].sentence


def test_the_starter_is_the_one_that_training_takes() -> None:
    assert packages.STARTER == starter.STARTER_PACKAGE


# ---- a run ----------------------------------------------------------------------------------


def test_a_finished_run(run: Run) -> None:
    found = examine(run.folder)
    assert not marks(found, "problem") and not marks(found, "note")
    assert found["dev"].value == run.metrics["dev"] and found["model"].value == 3
    assert found["checkpoints"].value[-1] == f"step-{run.metrics['train']['steps']}"
    assert found["size"].value["total"] > found["size"].value["model"] > 100_000


def counted(*of_train: int) -> dict[str, Any]:
    """Counts as metrics.json keeps them: texts, tokens and unknown tokens of train."""
    counts = dict(zip(("texts", "tokens", "unknown"), of_train, strict=True))
    share = counts["unknown"] / counts["tokens"]
    return {"train": {"share": share, "by_script": {"han": counts}}}


def test_unknown_tokens_that_training_counted(run: Run, tmp_path: Path) -> None:
    found = examine(run.folder)["unknown_tokens"]
    assert found.mark == "ok" and found.value == run.metrics["data"]["unknown_tokens"]
    copy = tmp_path / "run"
    shutil.copytree(run.folder, copy)
    for counts, mark, reported in (
        (counted(50, 200, 100), "note", "50.0% of train (han); train on more texts, or give"),
        (counted(50, 200, 8), "note", "not cover all of the texts"),
        (counted(50, 200, 4), "ok", "Unknown tokens: 2.0% of train (han)."),
        ({"train": 3}, "problem", "cannot be read"),
    ):
        metrics = run.metrics | {"data": {"unknown_tokens": counts}}
        (copy / "metrics.json").write_text(json.dumps(metrics))
        found = examine(copy)["unknown_tokens"]
        assert found.mark == mark and reported in found.sentence
    (copy / "metrics.json").write_text(
        json.dumps({name: value for name, value in run.metrics.items() if name != "data"})
    )
    assert "unknown_tokens" not in examine(copy)


def test_unknown_tokens_of_an_export() -> None:
    (found,) = describe_measured(counted(50, 200, 100))
    assert found.mark == "note" and found.value == counted(50, 200, 100)
    assert found.sentence.startswith("The vocabulary does not cover these texts: unknown tokens")
    assert "give --model tiny" in found.sentence and found.sentence.endswith("bert-base-chinese.")
    assert not list(describe_measured(None))


def test_broken_runs(run: Run, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(run.folder, copy)
    (copy / "dev.jsonl").unlink()
    (copy / "report.html").unlink()
    for weights in (copy / "model").glob("*.safetensors"):
        weights.unlink()
    found = examine(copy)
    assert marks(found, "problem") == {"files", "model"} and marks(found, "note") == {
        "files.people"
    }
    (copy / "metrics.json").unlink()
    diagnosis = doctor.examine(DoctorConfig(subject=str(copy)))
    assert [f.about for f in diagnosis.findings if f.mark == "problem"] == ["finished"]
    assert [c.line for c in diagnosis.commands] == [
        f"python -m tfpipe.train --resume --output {copy}"
    ]
    (copy / "checkpoints").mkdir(exist_ok=True)
    with training_lock(copy / "checkpoints"):
        assert "being trained at this moment" in examine(copy)["finished"].sentence
    (copy / "config.yaml").write_text("epochs: [")
    assert marks(examine(copy), "problem") == {"config"}


@pytest.mark.parametrize("task,reported", [("tag", "and 3 tags."), ("regress", "safetensors.")])
def test_a_run_of_another_task(run: Run, tmp_path: Path, task: str, reported: str) -> None:
    shutil.copytree(run.folder, tmp_path / "run")
    settings = tmp_path / "run" / "config.yaml"
    settings.write_text(settings.read_text().replace("task: classify", f"task: {task}"))
    found = examine(tmp_path / "run")
    assert not marks(found, "problem") and found["model"].sentence.endswith(reported)


# ---- an export ------------------------------------------------------------------------------


def test_an_export(exported: Path) -> None:
    found = examine(exported.parent)
    assert not marks(found, "problem")
    signature = found["signatures.serving_default"].value
    assert signature["inputs"] == {"text": "string [any]"}
    outputs = {"label": "string [any]", "score": "float32 [any]", "scores": "float32 [any, 3]"}
    assert signature["outputs"] == outputs
    assert found["version"].value == [1] and found["version"].mark == "ok"
    assert found["info"].value["task"] == "classify"
    assert found["unknown_tokens"].value == found["info"].value["unknown_tokens"]
    assert found["unknown_tokens"].mark == "ok"
    assert found["labels"].value == ["card", "refund", "weather"]
    assert found["operations"].value > 20
    memory = found["memory"].value
    assert memory["base"] < memory["opened"] <= memory["peak"]
    assert found["parity.fresh_process"].mark == "ok"
    assert found["parity.tokenizer, hostile_strings"].value["mismatches"] == 0
    assert found["warm_up"].value > 0


def test_the_lines_that_serve_it(exported: Path) -> None:
    lines = {command.purpose: command.line for command in serving_lines.serving_commands(exported)}
    base = exported.parent.resolve()
    assert lines["to serve it with TensorFlow Serving"].split() == [
        *("tensorflow_model_server", "--port=8500", "--rest_api_port=8501"),
        *("--model_name=tiny", f"--model_base_path={base}"),
    ]
    docker = lines["to serve it with TensorFlow Serving's image"].split()
    assert f"{base}:/models/tiny:ro" in docker and "MODEL_NAME=tiny" in docker
    assert docker[-1] == serving_lines.IMAGE == read_dockerfile()["serve"].base


def test_measured_flags_are_in_the_lines(tmp_path: Path) -> None:
    extra = tmp_path / "support" / "7" / "assets.extra"
    extra.mkdir(parents=True)
    flags = extra / serving_lines.FLAGS_FILE.name
    flags.write_text(
        "# 2 threads: 90 texts/s\n\n --enable_batching=true\n"
        "--batching_parameters_file=batching_parameters.txt\n--ssl_config_file=/etc/ssl.txt\n"
    )
    first, docker, *_ = serving_lines.serving_commands(extra.parent)
    reported = "--enable_batching=true --batching_parameters_file={}/batching_parameters.txt"
    assert reported.format(extra) + " --ssl_config_file=/etc/ssl.txt" in first.line
    image = "tensorflow/serving:2.21.0 "
    assert image + reported.format("/models/support/7/assets.extra") in docker.line
    (tmp_path / "support" / "batching_parameters.txt").write_text("max_batch_size { value: 8 }")
    first, docker, *_ = serving_lines.serving_commands(extra.parent)
    assert reported.format(tmp_path / "support") in first.line
    assert image + reported.format("/models/support") in docker.line
    (tmp_path / "support" / "batching_parameters.txt").unlink()
    # The image's script reads the file in the same way.
    bash = shutil.which("bash")
    if bash:
        env = {**os.environ, "MODEL_NAME": "support", "MODEL_BASE_PATH": str(tmp_path)}
        script = [bash, str(ROOT / "serving/deploy/serve.sh"), "printf", r"%s\n"]
        done = subprocess.run(script, env=env, capture_output=True, text=True, check=True)
        read = serving_lines.read_flags(extra.parent, str(extra.parent))
        assert done.stdout.splitlines()[-3:] == read
    flags.write_text("enable_batching\n")
    with pytest.raises(UserError, match="not a flag"):
        serving_lines.serving_commands(extra.parent)


@pytest.mark.usefixtures("forked_openings")
def test_broken_exports(exported: Path, tmp_path: Path) -> None:
    copy = tmp_path / "tiny" / "4"
    shutil.copytree(exported, copy)
    (tmp_path / "tiny" / "5").mkdir()
    parity = copy / "assets.extra" / "parity.json"
    tables = json.loads(parity.read_text())
    tables["fresh_process"]["other_labels"] = 1
    parity.write_text(json.dumps(tables))
    (copy / "assets.extra" / "tf_serving_warmup_requests").write_bytes(
        b"no records at all, not one"
    )
    (copy / "variables" / "variables.index").unlink()
    found = examine(copy)
    assert marks(found, "problem") == {"opening", "parity.fresh_process", "warm_up"}
    assert found["version"].mark == "note" and "servers take 5" in found["version"].sentence
    (copy / "assets.extra" / "tf_serving_warmup_requests").write_bytes(b"cut off")
    assert describe_warm_up(copy).mark == "problem"
    (copy / "saved_model.pb").write_bytes(b"\xff")
    assert marks(examine(copy), "problem") == {"saved_model"}


@pytest.mark.usefixtures("forked_openings")
def test_label_tables_that_do_not_fit(tmp_path: Path) -> None:
    answered = {"columns": 2, "labels": ["two"]}

    def mark(*labels: str) -> str:
        (finding,) = describe_labels({"labels": list(labels)}, answered)
        return finding.mark

    assert mark("one", "two") == "ok"
    assert mark("two", "two") == mark("one", "three") == mark("one", "two", "three") == "problem"
    assert not list(describe_labels({}, answered))
    # Its labels are not those of its table.
    save_classifier(tmp_path / "a" / "1", {"task": "classify", "labels": ["one", "other"]})
    assert "labels" in marks(examine(tmp_path / "a"), "problem")


@pytest.mark.usefixtures("forked_openings")
def test_an_export_of_another_task(tmp_path: Path) -> None:
    save_task(tmp_path / "asked" / "1", "answer")
    diagnosis = doctor.examine(DoctorConfig(str(tmp_path / "asked")))
    found = {finding.about: finding for finding in diagnosis.findings}
    assert found["opening"].mark == "ok" and "answered" in found["memory"].value
    lines = serving_lines.serving_commands(tmp_path / "asked" / "1", ["context", "question"])
    assert "--model asked 'a question' --context 'a context'" in lines[-1].line
    assert [command.line.split(" --model")[1] for command in diagnosis.commands[-1:]] == [
        lines[-1].line.split(" --model")[1]
    ]
    tags = ["O", "B-per", "I-per"]
    (reported,) = describe_labels({"task": "tag", "labels": tags}, {})
    assert reported.mark == "ok" and reported.sentence == "The types of its entities: per."
    assert not list(describe_labels({"task": "qa", "labels": ["start", "end"]}, {}))


@pytest.mark.parametrize(
    "task,inputs",
    [
        ("classify", ["text"]),
        ("multilabel", ["text"]),
        ("regress", ["text_pair", "text"]),
        ("tag", ["text"]),
        ("qa", ["context", "question"]),
    ],
)
def test_the_line_that_asks_is_one_that_the_client_takes(task: str, inputs: list[str]) -> None:
    words = shlex.split(client_command("support", task, inputs))
    assert words[:3] == ["python", "-m", "serving.client"]
    arguments = build_parser().parse_args(words[3:])
    (row,) = find_rows(arguments, TEXT_VERBS[arguments.verb].fields)
    assert len(row) == len(inputs) and arguments.model == "support"


@pytest.mark.usefixtures("forked_openings")
def test_models_that_are_not_ours(tmp_path: Path) -> None:
    save_half_plus_two(tmp_path / "half" / "00000123")
    found = examine(tmp_path / "half" / "00000123")
    assert found["info"].mark == found["parity"].mark == found["warm_up"].mark == "note"
    assert found["opening"].mark == found["operations"].mark == "ok"
