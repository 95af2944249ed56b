"""The wheel: what it installs, and that it works away from the source tree."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from email import message_from_string
from email.message import Message
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import tfpipe

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel's files, unpacked as pip would lay them."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-q"]
    subprocess.run([*build, "-w", str(folder), str(ROOT)], check=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def metadata(installed: Path) -> Message:
    (file,) = installed.glob("*.dist-info/METADATA")
    return message_from_string(file.read_text(encoding="utf-8"))


def test_installs_our_packages_only(installed: Path) -> None:
    tops = {path.name for path in installed.iterdir() if not path.name.endswith(".dist-info")}
    assert tops == {"tfpipe", "serving", "tuning"}


def test_holds_every_file_that_the_packages_read(installed: Path) -> None:
    """Data files, and the markers by which type checkers use the annotations."""
    for package in ("tfpipe", "serving", "tuning"):
        assert (installed / package / "py.typed").is_file()
        for path in (ROOT / package).rglob("*"):
            if path.suffix in (".py", ".html", ".css", ".js", ".bin", ".tsv", ".yaml"):
                assert (installed / path.relative_to(ROOT)).is_file(), path


def test_metadata_are_those_of_the_package(installed: Path) -> None:
    found = metadata(installed)
    assert (found["Name"], found["Version"]) == ("tfpipe", tfpipe.__version__)
    assert (found["Requires-Python"], found["License-Expression"]) == ("<3.13,>=3.10", "MIT")
    (commands,) = installed.glob("*.dist-info/entry_points.txt")
    assert "tfpipe = tfpipe.cli:run_console_script" in commands.read_text(encoding="utf-8")


def test_equal_requirements_are_written_equally(installed: Path) -> None:
    """The extra `client` repeats three requirements; the TensorFlow family has one version."""
    lines = metadata(installed).get_all("Requires-Dist") or []
    needed = [Requirement(line) for line in lines]
    always = {r.name: r.specifier for r in needed if not r.marker}
    client = {r.name: r.specifier for r in needed if r.marker and "client" in str(r.marker)}
    assert client == {name: always[name] for name in ("grpcio", "numpy", "protobuf")}
    family = ("tensorflow", "tf-keras", "tensorflow-serving-api")
    assert len({str(r.specifier) for r in needed if r.name in family}) == 1


def test_works_outside_the_source_tree(installed: Path, tmp_path: Path) -> None:
    script = """
import tfpipe, serving.client
from tfpipe.data.splits import SAMPLE
from tfpipe.data.examples import Columns
from tfpipe.data.read_examples import read_examples
from tfpipe.data.tokenizer import Tokenizer, WordPiece
examples = read_examples(SAMPLE, Columns())
tokenizer = Tokenizer(WordPiece(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "hi"]))
print(tfpipe.__file__, len(examples), tokenizer(["Hi"])["input_ids"].numpy().tolist())
"""
    env = {**os.environ, "PYTHONPATH": str(installed)}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    place, rows, ids = done.stdout.split(maxsplit=2)
    assert place.startswith(str(installed)) and int(rows) >= 1200 and ids.strip() == "[[2, 5, 3]]"


def test_locks_are_hashed_and_name_no_index() -> None:
    for lock in ROOT.glob("requirements*.lock"):
        text = lock.read_text(encoding="utf-8")
        assert "://" not in text and "--index" not in text, lock.name
        pins = re.findall(r"^[a-z0-9._-]+==", text, re.MULTILINE)
        hashes = re.findall(r"==\S+(?: ; [^\\\n]+)? \\\n    --hash=sha256:", text)
        assert pins and len(pins) == len(hashes), lock.name


def test_family_is_bound_together() -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    versions = dict(re.findall(r"^([a-z-]+)==(\d+\.\d+)", lock, re.MULTILINE))
    family = ("tensorflow", "tf-keras", "tensorflow-serving-api", "tensorboard")
    assert len({versions[name] for name in family}) == 1
    assert versions["transformers"] == "4.54"


def test_sample_is_what_its_note_says() -> None:
    from tfpipe.data.examples import Columns
    from tfpipe.data.read_examples import read_examples
    from tfpipe.data.splits import SAMPLE

    examples = read_examples(SAMPLE, Columns())
    labels = list(examples.labels or [])
    assert len(examples) == len(set(examples.texts)) == 2080
    assert len(set(labels)) == 26 and labels.count("out_of_scope") == 155
    assert {labels.count(label) for label in set(labels)} == {77, 155}
    assert "2,080" in SAMPLE.with_name("README.md").read_text(encoding="utf-8")
    chinese = sum(any("\u4e00" <= c <= "\u9fff" for c in text) for text in examples.texts)
    assert 0.2 < chinese / len(examples) < 0.35
