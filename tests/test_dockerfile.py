"""The Dockerfile without Docker: its images, paths, packages, users, flags and ports."""

from __future__ import annotations

import argparse
import dataclasses
import importlib.metadata
import re
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from serving.server.flags import FIXED_FLAGS, ServerFlags
from tests.dockerfile import ROOT, is_ignored, lineage, read_dockerfile

STAGES = read_dockerfile()
TARGETS = ["train", "serve", "local-serve", "client"]
DEPLOY = ROOT / "serving" / "deploy"
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
# What names files inside an image.
CALLS = ("HEALTHCHECK", "ENTRYPOINT", "CMD")
# Flags of our server that TensorFlow Serving does not have.
OURS = {"host", "max_concurrent_requests", "max_request_bytes", "max_pending_bytes"}
OURS |= {"max_transfer_seconds", "version_transition_policy", "drain_seconds", "request_log"}
SERVER_FLAGS = {field.name for field in dataclasses.fields(ServerFlags)} | set(FIXED_FLAGS)


def lock_pins(name: str) -> dict[str, str]:
    """The lines of a lock file, hashes and all, by package and condition."""
    blocks = re.split(r"\n(?=\S)", (ROOT / name).read_text(encoding="utf-8").strip())
    return {block.split(" \\")[0]: block for block in blocks if not block.startswith("#")}


# ---- Dockerfile -----------------------------------------------------------------------------


def test_hadolint_finds_nothing() -> None:
    beside = shutil.which("hadolint", path=str(Path(sys.executable).parent))
    hadolint = beside or shutil.which("hadolint")
    if hadolint is None:
        pytest.skip("hadolint is not installed (requirements-dev.lock has it)")
    done = subprocess.run([hadolint, str(ROOT / "Dockerfile")], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_images_are_pinned_and_name_no_host() -> None:
    assert set(TARGETS) <= set(STAGES)
    earlier: set[str] = set()
    images = {service["image"] for service in COMPOSE["services"].values() if "image" in service}
    for stage in STAGES.values():
        images |= {stage.base} - earlier
        earlier.add(stage.name)
    assert len(images) == 3
    for image in images:
        assert re.fullmatch(r"([a-z]+/)?[a-z]+:v?\d+\.\d+\.\d+(-[a-z-]+)?", image), image


def test_serving_follows_the_locked_tensorflow() -> None:
    (locked,) = (pin for pin in lock_pins("requirements.lock") if pin.startswith("tensorflow=="))
    assert STAGES["serve"].base == f"tensorflow/serving:{locked.split('==')[1]}"


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_runs_without_root(target: str) -> None:
    user = STAGES[target].last("USER")
    assert user and re.fullmatch(r"[1-9]\d*:[1-9]\d*", user.text)
    # Nothing is built or copied as that user, who could then change it.
    names = [step.name for step in STAGES[target].steps]
    assert not {"RUN", "COPY"} & set(names[names.index("USER") :])


def test_copied_files_exist_and_are_not_ignored() -> None:
    copied = 0
    for stage in STAGES.values():
        for step in stage.steps:
            if step.name != "COPY":
                continue
            *sources, target = step.files
            if "from" in step.options:
                # What it takes from there is made by that stage's last RUN.
                made = STAGES[step.options["from"]].last("RUN")
                assert made and sources == [target] and sources[0] in made.words
                continue
            for source in sources:
                copied += 1
                assert len(sources) == 1 or target.endswith("/"), step.text
                # The exported model is made by the user.
                assert (ROOT / source).exists() or source == "models/support", source
                inside = [source, *(str(p.relative_to(ROOT)) for p in (ROOT / source).rglob("*"))]
                kept = [path for path in inside if not is_ignored(path)]
                assert kept[0] == source
                assert all("__pycache__" in path for path in set(inside) - set(kept))
    assert copied > 10


@pytest.mark.parametrize(
    "path",
    [
        *(".git/HEAD", ".venv/bin/python", "runs/a/model/tf_model.h5", "tests/test_package.py"),
        *("tfpipe/__pycache__/cli.pyc", "tfpipe/data/__pycache__/read.pyc", "Dockerfile"),
        *("models/support/.2.17.tmp/saved_model.pb", "requirements-dev.lock"),
    ],
)
def test_what_no_image_needs_is_ignored(path: str) -> None:
    assert is_ignored(path)


def test_exported_models_are_not_ignored() -> None:
    for file in ("saved_model.pb", "assets.extra/tensorflow_model_server.flags"):
        assert not is_ignored(f"models/support/1/{file}")


def test_packages_come_from_hashed_locks_that_are_there() -> None:
    installs = 0
    for stage in STAGES.values():
        steps = [step for one in lineage(STAGES, stage.name) for step in one.steps]
        here = [
            step.files[-1] + Path(f).name
            for s in [steps]
            for step in s
            if step.name == "COPY"
            for f in step.files[:-1]
            if step.files[-1] == "/locks/"
        ]
        for step in stage.steps:
            if step.name != "RUN" or "install" not in step.words:
                continue
            installs += 1
            assert "--no-deps" in step.words and "--no-cache-dir" in step.words
            locks = [after for word, after in pairwise(step.words) if word == "-r"]
            if locks:
                assert step.words.count("--require-hashes") == len(locks)
                assert set(locks) <= set(here)
            else:
                assert "/wheels/*.whl" in step.words
    assert installs == 5


def test_the_clients_lock_is_a_whole_part_of_the_lock() -> None:
    every, client = lock_pins("requirements.lock"), lock_pins("requirements-client.lock")
    assert client.items() <= every.items()
    names = {pin.split("==")[0] for pin in client}
    assert client == {pin: block for pin, block in every.items() if pin.split("==")[0] in names}
    needed = re.search(r"^client = (\[.*\])$", (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert needed
    open_names = re.findall(r'"([a-z]+)', needed.group(1))
    for name in open_names:
        plain = [r for r in importlib.metadata.requires(name) or [] if "extra ==" not in r]
        open_names += [re.split(r"[^a-z-]", requirement)[0] for requirement in plain]
    assert names == set(open_names)


# ---- flags, ports and paths -----------------------------------------------------------------


@pytest.mark.parametrize("target", ["serve", "local-serve"])
def test_servers_get_flags_that_they_have(target: str) -> None:
    entry = STAGES[target].last("ENTRYPOINT")
    assert entry
    script = (DEPLOY / "serve.sh").read_text(encoding="utf-8")
    given = set(re.findall(r"(?<!\S)--([a-z_]+)=", script.split("exec ")[1]))
    given |= {word[2:].split("=")[0] for word in entry.words if word.startswith("--")}
    assert {"port", "rest_api_port", "model_name", "model_base_path"} < given
    allowed = SERVER_FLAGS - OURS if target == "serve" else SERVER_FLAGS
    assert given <= allowed
    assert OURS < SERVER_FLAGS


def test_our_list_of_flags_is_the_contracts() -> None:
    """Against the description of TensorFlow Serving beside the checkout, where there is one."""
    contract = ROOT.parent / "shared" / "docs" / "tfs-contract.md"
    if not contract.is_file():
        pytest.skip("no ../shared/docs beside this checkout")
    table = contract.read_text(encoding="utf-8").split("## 17.")[1].split("## 18.")[0]
    reported = set(re.findall(r"[a-z]+(?:_[a-z]+)+|\bport\b|\bversion\b", table))
    assert {name for name in SERVER_FLAGS - OURS if name not in reported} <= {
        # Told in short there, as "tensorflow_intra_op_parallelism, _inter_op_" and the like.
        *("tensorflow_inter_op_parallelism", "xla_gpu_compilation_enabled"),
    }


def test_ports_agree() -> None:
    script = (DEPLOY / "serve.sh").read_text(encoding="utf-8")
    grpc, rest = re.search(r"--port=(\d+) --rest_api_port=(\d+)", script).groups()  # type: ignore[union-attr]
    assert f"REST_PORT:-{rest}" in (DEPLOY / "healthy.sh").read_text(encoding="utf-8")
    for target in ("serve", "local-serve"):
        exposed = STAGES[target].last("EXPOSE")
        assert exposed and exposed.words == [grpc, rest]
    services = COMPOSE["services"]
    assert services["serve"]["ports"] == [f"127.0.0.1:{port}:{port}" for port in (grpc, rest)]
    assert f"--port={STAGES['train'].last('EXPOSE').text}" in services["tensorboard"]["entrypoint"]  # type: ignore[union-attr]
    (job,) = prometheus()["scrape_configs"]
    assert job["static_configs"] == [{"targets": [f"serve:{rest}"]}]
    for service in services.values():
        for port in service.get("ports", []):
            assert re.fullmatch(r"127\.0\.0\.1:(\d+):\1", port)


def prometheus() -> dict:
    return yaml.safe_load((DEPLOY / "prometheus.yml").read_text(encoding="utf-8"))


def test_prometheus_asks_where_the_server_tells() -> None:
    from serving.server.rest.monitoring import read_metrics_path

    (job,) = prometheus()["scrape_configs"]
    assert read_metrics_path(str(DEPLOY / "monitoring.config")) == job["metrics_path"]


def test_files_in_the_images_are_where_they_are_called() -> None:
    for target in ("serve", "local-serve"):
        stage = STAGES[target]
        (copied,) = (s for s in stage.steps if s.name == "COPY" and "serving/deploy" in s.files)
        called = " ".join(step.text for step in stage.steps if step.name in CALLS)
        for path in re.findall(rf"{copied.files[-1]}/([\w.]+)", called):
            assert (DEPLOY / path).is_file(), path
        assert called.count(copied.files[-1]) == 2


# ---- compose.yaml ---------------------------------------------------------------------------


def test_compose_refers_to_what_exists() -> None:
    services = COMPOSE["services"]
    assert {"serve", "tensorboard", "prometheus"} <= set(services)
    for name, service in services.items():
        assert ("build" in service) != ("image" in service), name
        if "build" in service:
            stage = STAGES[service["build"]["target"]]
            known = {s.text.split("=")[0] for s in stage.steps if s.name == "ARG"}
            assert set(service["build"].get("args", {})) <= known
            assert (ROOT / service["build"]["context"] / "Dockerfile").is_file()
        for volume in service.get("volumes", []):
            source, target, *_ = volume.split(":")
            assert target.startswith("/")
            if source != "./runs":
                assert source in COMPOSE["volumes"] or (ROOT / source).is_file(), volume
        for other, rule in service.get("depends_on", {}).items():
            assert rule["condition"] == "service_healthy"
            assert STAGES[services[other]["build"]["target"]].last("HEALTHCHECK")
    assert services["serve"]["build"]["target"] == "serve"


def test_tensorboard_has_the_options_it_gets() -> None:
    from tensorboard.plugins.core.core_plugin import CorePluginLoader

    parser = argparse.ArgumentParser()
    CorePluginLoader().define_flags(parser)
    command, *options = COMPOSE["services"]["tensorboard"]["entrypoint"]
    (script,) = importlib.metadata.entry_points(group="console_scripts", name=command)
    assert script.value.startswith("tensorboard.")
    _, unknown = parser.parse_known_args(options)
    assert not unknown


# ---- README ---------------------------------------------------------------------------------


def test_the_readme_builds_and_starts_what_there_is() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    targets = re.findall(r"docker build --target (\S+)", readme)
    assert set(targets) == {"serve", "train"}
    steps = [step for target in targets for step in STAGES[target].steps]
    assert {step.text for step in steps if step.name == "ARG"} == set(
        re.findall(r"--build-arg (\S+)", readme)
    )
    assert set(re.findall(r"tensorflow/serving:\S+", readme)) == {STAGES["serve"].base}
    (line,) = re.findall(r"^tensorflow_model_server (.*?[^\\])$", readme, re.MULTILINE | re.DOTALL)
    given = set(re.findall(r"--([a-z_]+)=", line))
    assert len(given) == 4 and given <= SERVER_FLAGS - OURS
