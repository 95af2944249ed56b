"""Settings of TensorFlow, Keras and transformers, made before they are imported.

A shell profile, another project or `~/.keras/keras.json` may hold other values: `USE_TF=0` hides
TensorFlow from transformers, `KERAS_BACKEND=torch` stops Keras Tuner, and `floatx` changes what a
model computes. What tfpipe needs is set over them, in this process and those that it starts;
`tfpipe.doctor` lists what was replaced.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any

# TFBert is a Keras 2 model (tf-keras). transformers would import torch where it finds it, which can
# end the process (two copies of LLVM) and takes seconds; with both it takes neither.
NEEDED = {
    "TF_USE_LEGACY_KERAS": "1",
    "USE_TF": "1",
    "USE_TORCH": "0",
    "KERAS_BACKEND": "tensorflow",
}
# TensorFlow's start-up notes are silenced where they arise; its wheel also reports an error on
# every machine that has no GPU, which is only news where there is one.
QUIET = {
    "TRANSFORMERS_VERBOSITY": "error",
    "TF_CPP_MIN_LOG_LEVEL": "2" if Path("/proc/driver/nvidia").exists() else "3",
}
SAME = {"true": "1", "yes": "1", "on": "1", "false": "0", "no": "0", "off": "0"}
LOOPBACK = ("localhost", "127.0.0.1", "::1")
# A folder with Keras's own defaults, which both versions of Keras read at their import.
KERAS_HOME = Path(__file__).with_name("keras_home")


def apply(variables: MutableMapping[str, str]) -> dict[str, str]:
    """Set what tfpipe needs.

    Args:
        variables: Environment variables, which are changed.

    Returns:
        What was replaced: values by the names of variables, and by `FILE: name` for keras.json.
    """
    replaced = {}
    for name, value in NEEDED.items():
        before = variables.get(name)
        if before is not None and SAME.get(before.lower(), before.lower()) != value:
            replaced[name] = before
        variables[name] = value
    for name, value in QUIET.items():
        variables.setdefault(name, value)
    _keep_loopback_direct(variables)
    unfit = _find_unfit(Path(variables.get("KERAS_HOME", "~/.keras")) / "keras.json")
    if unfit:
        variables["KERAS_HOME"] = str(KERAS_HOME)
    return replaced | unfit


def _keep_loopback_direct(variables: MutableMapping[str, str]) -> None:
    """Except this machine from a proxy.

    The processes of a training and of a search connect by gRPC, which would ask the proxy for a
    connection to localhost.
    """
    if not any(variables.get(name) for name in ("grpc_proxy", "https_proxy", "http_proxy")):
        return
    for name in ("no_grpc_proxy", "no_proxy"):
        listed = [entry for entry in variables.get(name, "").split(",") if entry.strip()]
        if listed or name == "no_proxy":
            missing = [host for host in LOOPBACK if host not in listed]
            variables[name] = ",".join([*listed, *missing])


def _find_unfit(path: Path) -> dict[str, str]:
    """Return the settings of a keras.json that differ from Keras's defaults."""
    try:
        found = json.loads(path.expanduser().read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, RuntimeError):
        return {}  # No file, or a user without a home.
    except (OSError, ValueError) as error:
        return {str(path): f"not readable ({error})"}
    if not isinstance(found, Mapping):
        return {str(path): "not a JSON object"}
    defaults: dict[str, Any] = json.loads((KERAS_HOME / "keras.json").read_text(encoding="utf-8"))
    return {
        f"{path}: {name}": json.dumps(found[name])
        for name, value in defaults.items()
        if name in found and found[name] != value
    }


# Whether a program that imports TensorFlow before tfpipe gets Keras 2.
LEGACY_KERAS_GIVEN = "TF_USE_LEGACY_KERAS" in os.environ
REPLACED = apply(os.environ)
