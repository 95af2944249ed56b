"""What an export tells about itself: the answer of its `info` signature."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from pathlib import Path
from typing import Any

import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import saved_model_pb2

from tfpipe.exporting.graph import INFO
from tfpipe.run import Run
from tfpipe.tasks.task import Task


def describe(run: Run, task: Task) -> dict[str, Any]:
    """What is known of a run before its export is proved."""
    vocabulary = (run.model / "vocab.txt").read_bytes()
    return {
        "task": task.name,
        "labels": list(task.label_names),
        "settings": dict(task.head.settings),
        "max_length": run.config.max_length,
        "vocabulary_sha256": hashlib.sha256(vocabulary).hexdigest(),
        "train_sha256": run.data["train_sha256"],
        "versions": {
            name: importlib.metadata.version(name)
            for name in ("tfpipe", "tensorflow", "transformers")
        },
        "unknown_tokens": run.metrics.get("data", {}).get("unknown_tokens"),
        "metrics": {part: run.metrics.get(part) for part in ("dev", "test")},
    }


def write_info(export: Path, info: dict[str, Any]) -> None:
    """Replace what the `info` signature of an export answers, before the export is published."""
    content = json.dumps(info, ensure_ascii=False) + "\n"
    (export / INFO).write_text(content, encoding="utf-8")


def read_info(export: Path) -> dict[str, Any] | None:
    """What an export's `info` signature answers; None where it has none. No weights are loaded."""
    path = export / INFO
    try:
        if path.is_file():
            return json.loads(path.read_text(encoding="utf-8"))
        return json.loads(_run_info((export / "saved_model.pb").read_bytes()))
    except (OSError, ValueError, LookupError, DecodeError, tf.errors.OpError):
        return None


def _run_info(content: bytes) -> bytes:
    """The answer of an `info` signature that is a constant, as exports had it before.

    Raises ValueError and LookupError where there is none.
    """
    (graph, *_) = saved_model_pb2.SavedModel.FromString(content).meta_graphs
    name = graph.signature_def["info"].outputs["info"].name
    if not name:
        raise LookupError("no info signature")
    with tf.Graph().as_default():
        tf.import_graph_def(graph.graph_def, name="")
        with tf.compat.v1.Session() as session:
            return session.run(name)
