"""Metadata of an export: the answer of its `info` signature."""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tfpipe
from tfpipe.errors import UserError
from tfpipe.locations import SAVED_MODEL
from tfpipe.text_display import list_few

if TYPE_CHECKING:
    from tfpipe.model.text_model import TextModel
    from tfpipe.run_folder import Run
    from tfpipe.tasks.task import Task

# The signature's answer, as an asset in the SavedModel's folder.
INFO = Path("assets", "info.json")


def describe(run: Run, model: TextModel, task: Task) -> dict[str, Any]:
    """Return the metadata of a run that are known before its export is verified."""
    return {
        "task": task.name,
        "labels": list(task.label_names),
        "settings": dict(task.head.settings),
        "max_length": run.config.max_length,
        "vocabulary_sha256": model.tokenizer.vocabulary_sha256,
        "unknown_id": model.tokenizer.unk_id,
        "train_sha256": run.data["train_sha256"],
        "columns": run.columns.names,
        "versions": {
            "tfpipe": tfpipe.__version__,
            **{name: importlib.metadata.version(name) for name in ("tensorflow", "transformers")},
        },
        "unknown_tokens": run.metrics.get("data", {}).get("unknown_tokens"),
        "metrics": {part: run.metrics.get(part) for part in ("dev", "test")},
    }


def write_info(export: Path, info: dict[str, Any]) -> None:
    """Replace the answer of `info` in an export that is not published yet."""
    content = json.dumps(info, ensure_ascii=False) + "\n"
    (export / INFO).write_text(content, encoding="utf-8")


def read_info(export: Path) -> dict[str, Any]:
    """Read the `info` of an export without its weights; empty for one that has none."""
    try:
        if (export / INFO).is_file():
            return parse_info((export / INFO).read_bytes())
        content = (export / SAVED_MODEL).read_bytes()
    except OSError:
        return {}
    return parse_info(_run_info(content))


def parse_info(content: str | bytes) -> dict[str, Any]:
    """Parse the answer of an `info` signature; empty where it is not an object in JSON."""
    try:
        info = json.loads(content)
    except (ValueError, TypeError):
        return {}
    return info if isinstance(info, dict) else {}


def refuse_adapters(info: Mapping[str, Any], place: str) -> None:
    """Raise UserError for the `info` of an export of several adapters, which are several models."""
    if names := list(labels_of_adapters(info)):
        raise UserError(
            "the export has several adapters, and one model is needed",
            f"{place}: {list_few(names)}",
            "give the run of one, or ask one by serving.client classify --adapter NAME",
        )


def labels_of_adapters(info: Mapping[str, Any]) -> dict[str, Sequence[str]]:
    """Return the labels of each adapter from the `info` of an export; {} of one that has none."""
    adapters = info.get("adapters")
    return {name: one["labels"] for name, one in adapters.items()} if adapters else {}


def _run_info(content: bytes) -> bytes:
    """Return the answer of an `info` signature that is a constant, as in old exports, or b""."""
    # Seconds to import, which clients of a server do not need.
    import tensorflow as tf
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf import saved_model_pb2

    try:
        (graph, *_) = saved_model_pb2.SavedModel.FromString(content).meta_graphs
        signature = graph.signature_def["info"]
        if signature.inputs or not signature.outputs["info"].name:
            return b""
        with tf.Graph().as_default():
            tf.import_graph_def(graph.graph_def, name="")
            with tf.compat.v1.Session() as session:
                return session.run(signature.outputs["info"].name)
    except (ValueError, LookupError, DecodeError, tf.errors.OpError):
        return b""
