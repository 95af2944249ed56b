"""The client as a distribution of its own: what it contains, requires and does."""

from __future__ import annotations

import email
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from email.message import Message
from pathlib import Path

import pytest

from tests.scripted_server import ScriptedServer, always, classify

ROOT = Path(__file__).parents[1]
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
FORBIDDEN = ("tensorflow", "tensorflow_serving", "tf_keras", "keras", "transformers", "tfpipe")


def git_status() -> str:
    done = subprocess.run(
        ["git", "status", "--porcelain", "--ignored", "distributions", "serving"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    return "\n".join(line for line in done.stdout.splitlines() if "__pycache__" not in line)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The wheel and the source distribution; building them writes nothing into the tree."""
    folder = tmp_path_factory.mktemp("client") / "dist"
    before = git_status()
    script = ROOT / "distributions" / "client" / "build.py"
    done = subprocess.run([sys.executable, str(script), str(folder)], stdout=subprocess.PIPE)
    assert done.returncode == 0
    assert git_status() == before
    (wheel,), (source,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    assert done.stdout.decode().split() == [str(source), str(wheel)]
    return wheel, source


@pytest.fixture(scope="module")
def installed(built: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder into which pip has installed the wheel."""
    folder = tmp_path_factory.mktemp("installed")
    install = ["install", "--no-deps", "--no-index", "--target", str(folder), str(built[0])]
    subprocess.run([*PIP, *install], check=True)
    return folder


@pytest.fixture(scope="module")
def environment(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which the client is importable, and what it must not import is not."""
    traps = tmp_path_factory.mktemp("traps")
    for name in FORBIDDEN:
        (traps / f"{name}.py").write_text(f"raise ImportError('{name} is forbidden here')")
    return {**os.environ, "PYTHONPATH": f"{installed}{os.pathsep}{traps}"}


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def metadata(wheel: Path) -> Message:
    (name,) = (name for name in contents(wheel) if name.endswith(".dist-info/METADATA"))
    return email.message_from_bytes(contents(wheel)[name])


def test_contains_the_client_only(built: tuple[Path, Path]) -> None:
    names = {name for name in contents(built[0]) if ".dist-info/" not in name}
    ours = {path.relative_to(ROOT).as_posix() for path in (ROOT / "serving/client").rglob("*.py")}
    ours |= {"serving/__init__.py", "serving/proto_builder.py", "serving/py.typed"}
    ours.add("serving/standard_output.py")
    assert names == ours


def test_states_the_version_and_the_bounds_of_tfpipe(
    built: tuple[Path, Path], tmp_path: Path
) -> None:
    script = "import sys; from setuptools import build_meta as b; "
    script += "print(b.prepare_metadata_for_build_wheel(sys.argv[1]))"
    # In a copy: it would write into the tree.
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        if (ROOT / name).is_file():
            (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    (tmp_path / "tfpipe").mkdir()
    version_file = ROOT / "tfpipe" / "__init__.py"
    (tmp_path / "tfpipe" / "__init__.py").write_bytes(version_file.read_bytes())
    command = [sys.executable, "-c", script, str(tmp_path)]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    (file,) = tmp_path.glob("*.dist-info/METADATA")
    whole, client = email.message_from_bytes(file.read_bytes()), metadata(built[0])
    assert (client["Name"], client["Version"]) == ("tfpipe-client", whole["Version"])
    needed = client.get_all("Requires-Dist")
    assert needed is not None and set(needed) <= set(whole.get_all("Requires-Dist") or ())
    assert sorted(re.split(r"\W", line)[0] for line in needed) == ["grpcio", "numpy", "protobuf"]
    assert "either tfpipe or tfpipe-client" in client.get_payload()


def test_the_source_distribution_builds_the_same_wheel(
    built: tuple[Path, Path], tmp_path: Path
) -> None:
    wheel, source = built
    with tarfile.open(source) as archive:
        archive.extractall(tmp_path, filter="data")
    (folder,) = (path for path in tmp_path.iterdir() if path.is_dir())
    build = ["wheel", "--no-deps", "--no-index", "--no-build-isolation", "-w", str(tmp_path)]
    subprocess.run([*PIP, *build, str(folder)], check=True)
    (again,) = tmp_path.glob("*.whl")
    assert again.name == wheel.name
    assert contents(again) == contents(wheel)


def test_help_without_tensorflow(installed: Path, environment: dict[str, str]) -> None:
    for command in (
        [sys.executable, "-m", "serving.client"],
        [str(installed / "bin" / "tfpipe-client")],
    ):
        done = subprocess.run(
            [*command, "--help"], cwd=installed, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert "classify" in done.stdout


def test_asks_a_server_without_tensorflow(
    installed: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    script = """
import sys
import serving.client
with serving.client.Client(sys.argv[1], model="support") as client:
    (answer,) = client.classify(["Where is my card?"])
print(serving.client.__file__, answer.label, sep="|")
"""
    with ScriptedServer(always(classify)) as server:
        ask = [sys.executable, "-c", script, server.address]
        done = subprocess.run(
            ask, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
        )
        command = [str(installed / "bin" / "tfpipe-client"), "classify", "--model", "support"]
        command += ["--target", server.address, "Where is my card?"]
        shown = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
        )
    assert done.returncode == 0, done.stderr
    place, label = done.stdout.strip().split("|")
    assert place.startswith(str(installed)) and label == "Where is my card?"
    assert shown.returncode == 0 and "Where is my card?" in shown.stdout, shown.stderr


def test_the_traps_hold(environment: dict[str, str], tmp_path: Path) -> None:
    for name in FORBIDDEN:
        done = subprocess.run(
            [sys.executable, "-c", f"import {name}"], cwd=tmp_path, env=environment, stderr=-1
        )
        assert b"is forbidden here" in done.stderr
