"""Checks of TensorFlow, its devices, and the Keras that each library uses."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tfpipe.doctoring.findings import Finding, note, ok, problem
from tfpipe.library_settings import LEGACY_KERAS_GIVEN, NEEDED, REPLACED
from tfpipe.subprocesses import bound

WORKER = Path(__file__).with_name("import_libraries.py")
# Display name by the top package of a Keras.
KERAS = {"tf_keras": "Keras 2 (tf-keras)", "keras": "Keras 3"}
PACKAGES = {"tf_keras": "tf-keras", "keras": "keras"}
# The Keras that a library must use: TFBert is a Keras 2 model, Keras Tuner brings its own.
WANTED = {"tensorflow": "tf_keras", "transformers": "tf_keras", "keras_tuner": None}
SECONDS = 300


def check_libraries() -> list[Finding]:
    """Import TensorFlow, transformers and Keras Tuner in a process, and return the findings."""
    command = bound([sys.executable, str(WORKER)])
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        text = f"Importing TensorFlow, transformers and Keras Tuner takes more than {SECONDS} s."
        return [problem("imports", text)]
    found: dict[str, Any] = {}
    for line in done.stdout.splitlines():
        # Libraries may print, too.
        if line.startswith("{"):
            found |= json.loads(line)
    return [*_describe(found), *_describe_end(done, found), *_describe_settings()]


def _describe(found: dict[str, Any]) -> Iterator[Finding]:
    if "tensorflow" in found:
        cuda = f"built for CUDA {found['cuda']}" if found["cuda"] else "built without CUDA"
        yield ok("tensorflow", f"TensorFlow {found['tensorflow']} imports; it is {cuda}.", found)
        gpus = found["gpus"]
        if gpus:
            yield ok("gpus", f"It sees {len(gpus)} GPU(s): {', '.join(gpus)}.", gpus)
        elif Path("/proc/driver/nvidia").exists():
            yield note(
                "gpus",
                "The machine has an NVIDIA driver, but TensorFlow sees no GPU: CUDA's libraries"
                ' come with `pip install "tensorflow[and-cuda]"`, in the version installed.',
                [],
            )
        else:
            yield ok("gpus", "It sees no GPU, so training and serving run on the processor.", [])
    for name, wanted in WANTED.items():
        package = found.get(f"{name}_keras")
        if package is None:
            continue
        version = _version(PACKAGES.get(package, package))
        text = f"{name.replace('_', '-')} sees {KERAS.get(package, package)} {version}"
        if wanted and package != wanted:
            yield problem(
                f"keras.{name}",
                f"{text}, and TFBert needs {KERAS[wanted]}: install tf-keras.",
                package,
            )
        else:
            reason = "" if wanted else ", with which it builds no model: tfpipe runs its trials"
            yield ok(f"keras.{name}", f"{text}{reason}.", package)


def _describe_end(done: subprocess.CompletedProcess[str], found: dict[str, Any]) -> list[Finding]:
    if done.returncode == 0:
        return []
    steps = ("tensorflow_keras", "transformers_keras", "keras_tuner_keras")
    failed = next((s.removesuffix("_keras") for s in steps if s not in found), "the end")
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    last = lines[-1] if lines else f"status {done.returncode}"
    text = f"Importing {failed.replace('_', '-')} failed: {last}"
    return [problem("imports", text, {"status": done.returncode, "last_lines": lines[-20:]})]


def _describe_settings() -> Iterator[Finding]:
    """List what was set for libraries from outside, and what tfpipe has set over it."""
    for name, value in REPLACED.items():
        if name in NEEDED:
            sentence = f"{name}={value} is set; tfpipe sets {name}={NEEDED[name]} for itself."
        else:
            sentence = f"{name} is {value}; tfpipe uses Keras's own default for itself."
        yield note(name, sentence, value)
    name = "TF_USE_LEGACY_KERAS"
    if name in REPLACED:
        return
    if LEGACY_KERAS_GIVEN:
        yield ok(name, f"{name} is set to {NEEDED[name]}.", NEEDED[name])
        return
    yield note(
        name,
        f"{name} is not set; `import tfpipe` sets it. A program that imports TensorFlow before"
        f" tfpipe gets Keras 3 and should set {name}=1.",
    )


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""
