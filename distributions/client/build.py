"""Builds the client's wheel and source distribution from this tree: `make client`.

usage: python distributions/client/build.py FOLDER

The sources are copied to a temporary folder and built there, so that nothing is written into the
tree. Needs setuptools, and no network.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

from setuptools import build_meta

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CLIENT = "serving/client"
BUILDS = (build_meta.build_sdist, build_meta.build_wheel)
QUIET = {"--global-option": ["--quiet"]}
SHARED = (
    "serving/__init__.py",
    "serving/proto_builder.py",
    "serving/py.typed",
    "serving/standard_output.py",
)


def main(folder: str) -> None:
    """Build both into the folder, which is created where it is missing."""
    target = Path(folder).resolve()
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        copy_sources(Path(place))
        os.chdir(place)
        names = [build(str(target), QUIET) for build in BUILDS]
        # The folder cannot be removed everywhere while it is the current one.
        os.chdir(target)
    print("\n".join(str(target / name) for name in names))


def copy_sources(place: Path) -> None:
    """Copy all that the distributions contain, and write the version of tfpipe."""
    for name in ("pyproject.toml", "README.md"):
        shutil.copy2(HERE / name, place)
    shutil.copy2(ROOT / "LICENSE", place)
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / CLIENT, place / CLIENT, ignore=ignored)
    for name in SHARED:
        shutil.copy2(ROOT / name, place / name)
    (place / "VERSION").write_text(read_version(), encoding="utf-8")


def read_version() -> str:
    """Return tfpipe's version from its text, because importing it would set up TensorFlow."""
    text = (ROOT / "tfpipe" / "__init__.py").read_text(encoding="utf-8")
    (version,) = re.findall(r'^__version__ = "(.+)"$', text, re.MULTILINE)
    return version


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python distributions/client/build.py FOLDER")
    main(sys.argv[1])
