"""Command lines that serve an export, with its measured flags."""

from __future__ import annotations

import shlex
from collections.abc import Collection
from pathlib import Path

from tfpipe.doctoring.findings import Command
from tfpipe.errors import UserError
from tfpipe.exporting.client_command import client_command
from tfpipe.exporting.info import labels_of_adapters, read_info

# The image that Dockerfile builds on.
IMAGE = "tensorflow/serving:2.21.0"
# One flag a line, `#` before comments; file names in it are relative to its folder.
FLAGS_FILE = Path("assets.extra", "tensorflow_model_server.flags")


def read_flags(export: Path, place: str) -> list[str]:
    """Read the measured flags of a version; [] where it has none.

    Args:
        export: Folder of the version.
        place: The same folder as the server sees it.

    Raises:
        UserError: A line is not a flag.
    """
    path = export / FLAGS_FILE
    if not path.is_file():
        return []
    flags = []
    for line in map(str.strip, path.read_text(encoding="utf-8").splitlines()):
        name, equals, value = line.partition("=")
        if not line or line.startswith("#"):
            continue
        if not line.startswith("--"):
            raise UserError(
                "the measured flags have a line that is not a flag", f"{path}: {line}", "remove it"
            )
        if name.endswith("_file") and equals and value and not value.startswith("/"):
            # The copy beside the versions stays where `tfpipe.export --keep` removes this one.
            beside = (export.parent / value).is_file()
            folder = place.rpartition("/")[0] if beside else f"{place}/{FLAGS_FILE.parent}"
            flags.append(f"{name}={folder}/{value}")
        else:
            flags.append(line)
    return flags


def serving_commands(export: Path, inputs: Collection[str] = ("text",)) -> list[Command]:
    """Return commands that serve FOLDER/NAME/N with TensorFlow Serving, its image, our server.

    Args:
        export: FOLDER/NAME/N.
        inputs: Names of the inputs of serving_default.
    """
    export = export.resolve()
    base, name = export.parent, export.parent.name
    here = [f"--model_name={name}", f"--model_base_path={base}", *read_flags(export, str(export))]
    ports = ["--port=8500", "--rest_api_port=8501"]
    inside = f"/models/{name}"
    mounted = [
        *("docker", "run", "--rm", "--init", "-p", "8500:8500", "-p", "8501:8501"),
        *("-v", f"{base}:{inside}:ro", "-e", f"MODEL_NAME={name}", IMAGE),
    ]
    measured = read_flags(export, f"{inside}/{export.name}")
    local = ["python", "-m", "serving.server"]
    info = read_info(export)
    task = info.get("task", "classify")
    options = [part for name in list(labels_of_adapters(info))[:1] for part in ("--adapter", name)]
    return [
        Command(
            "to serve it with TensorFlow Serving",
            shlex.join(["tensorflow_model_server", *ports, *here]),
        ),
        Command("to serve it with TensorFlow Serving's image", shlex.join([*mounted, *measured])),
        Command("to serve it here", shlex.join([*local, *ports, *here])),
        Command("to send a request to any of them", client_command(name, task, inputs, options)),
    ]
