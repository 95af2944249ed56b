"""Errors of failed loads, converted to TensorFlow Serving's codes and messages."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import grpc
import tensorflow as tf

from serving.server.errors import RequestError
from serving.server.lifecycle.model_registry import Phase, ServedVersion

CODE_NAMES = {code.value[0]: code.name for code in grpc.StatusCode}
UNKNOWN, NOT_FOUND, DATA_LOSS = 2, 5, 15
# Location where Python built the graph; precedes the operation's message.
FAILED_NODE = re.compile(r"\ADetected at node .*?^Node: [^\n]*\n", re.DOTALL | re.MULTILINE)


def convert_load_error(error: Exception, folder: Path) -> tuple[int, str]:
    """Convert the exception of a failed load.

    TensorFlow's Python loader raises OSError, ValueError and RuntimeError where the C++ loader,
    which TensorFlow Serving calls, returns a status.

    Args:
        error: Exception raised by the load.
        folder: Version folder.

    Returns:
        tensorflow.error.Code and message.
    """
    message = str(error).strip() or type(error).__name__
    if isinstance(error, RequestError):
        return error.code.value[0], error.details
    if isinstance(error, tf.errors.OpError):
        return convert_op_error(error)
    if message.startswith("SavedModel file does not exist at"):
        return NOT_FOUND, (
            "Specified file path does not appear to contain a SavedModel bundle (should have a "
            f"file called `saved_model.pb`)\nSpecified file path: {folder}"
        )
    if message.startswith("Cannot parse file"):
        return DATA_LOSS, f"Can't parse {folder / 'saved_model.pb'} as binary proto"
    if match := re.match(r"MetaGraphDef associated with tags (.*) could not be found", message):
        tags = match[1].replace("'", "").replace(",", "")
        return NOT_FOUND, (
            f"Could not find meta graph def matching supplied tags: {{ {tags} }}. To inspect "
            "available tag-sets in the SavedModel, please use the SavedModel CLI: "
            "`saved_model_cli`"
        )
    if "is not a valid checkpoint" in message:
        return NOT_FOUND, (
            "Unsuccessful TensorSliceReader constructor: Failed to find any matching files for "
            f"{folder / 'variables' / 'variables'}"
        )
    return UNKNOWN, message


def convert_op_error(error: tf.errors.OpError) -> tuple[int, str]:
    """Return code and message of a failed operation, without the Python prefix."""
    message = error.message.removeprefix("Graph execution error:").strip()
    message = message.partition("\n\nOriginal stack trace")[0]
    message = FAILED_NODE.sub("", message)
    if "No such file or directory" in message:
        # TensorFlow's Python bindings drop the code of a file system error.
        return NOT_FOUND, message
    return error.error_code, message


def describe_failures(noun: str, outcomes: Mapping[str, ServedVersion | None]) -> str:
    """Format TensorFlow Serving's message on models that failed to load; "" for none."""
    failed = [
        f"{{name: {name} version: {version.number}}} due to error: "
        f"{CODE_NAMES.get(version.error_code, version.error_code)}: {version.error_message}}}, "
        for name, version in sorted(outcomes.items())
        if version is not None and version.phase is Phase.FAILED
    ]
    if not failed:
        return ""
    return f"{len(failed)} {noun}(s) did not become available: {{" + "".join(failed) + "}"
