"""Warm-up requests, which a server replays before a version takes traffic, from dev texts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfpipe.data.examples import Examples
from tfpipe.exporting.clean_process import TakesTexts

REQUESTS_FILE = Path("assets.extra", "tf_serving_warmup_requests")
BATCH_SIZES = (1, 8, 32, 128)
# TensorFlow Serving's limit; a version with more is not loaded.
MOST_RECORDS = 1000


def write_warm_up(
    export: Path, name: str, task: TakesTexts, examples: Examples, lengths: np.ndarray
) -> int:
    """Write a request for each batch size and length class, and read the file back.

    Args:
        export: The SavedModel's folder.
        name: Name of the model.
        task: Its task, or what has its inputs.
        examples: N dev examples.
        lengths: int [N], tokens of each example; the shortest, those around the median and the
            longest are chosen by them.

    Returns:
        The number of requests.

    Raises:
        RuntimeError: The file does not have the requests that were written.
    """
    path = export / REQUESTS_FILE
    path.parent.mkdir(exist_ok=True)
    requests = [
        _request(name, task, examples.take(rows)) for rows in choose_rows(lengths) if len(examples)
    ]
    with tf.io.TFRecordWriter(str(path)) as writer:
        for request in requests:
            writer.write(request.SerializeToString())
    if read_warm_up(export) != requests or len(requests) > MOST_RECORDS:
        raise RuntimeError(f"{path} does not hold the {len(requests)} requests that were written")
    return len(requests)


def choose_rows(lengths: np.ndarray) -> list[list[int]]:
    """Choose rows for each batch size and each of short, median, long; few rows are repeated."""
    order = np.argsort(lengths, kind="stable")
    chosen = []
    for size in BATCH_SIZES:
        count = min(size, len(order))
        starts = (0, (len(order) - count) // 2, len(order) - count)
        chosen += [np.resize(order[start : start + count], size).tolist() for start in starts]
    return chosen


def read_warm_up(export: Path) -> list[Any]:
    """Return the PredictionLogs of an export's warm-up file; none where it has no such file."""
    from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

    path = export / REQUESTS_FILE
    if not path.is_file():
        return []
    records = tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
    return [PredictionLog.FromString(record) for record in records]


def _request(name: str, task: TakesTexts, examples: Examples) -> Any:
    from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

    log = PredictionLog()
    request = log.predict_log.request
    request.model_spec.name = name
    request.model_spec.signature_name = "serving_default"
    names = task.inputs(examples.text_pairs is not None)
    for column, texts in zip(names, (examples.texts, examples.text_pairs or ()), strict=False):
        request.inputs[column].CopyFrom(tf.make_tensor_proto(list(texts), tf.string))
    return log
