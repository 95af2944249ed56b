"""Warm-up: replay of a version's recorded requests before it becomes available."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow_serving.apis import prediction_log_pb2

from serving.server import metrics
from serving.server.errors import RequestError, invalid_argument
from serving.server.inference.classify_regress import classify, multi_inference, regress
from serving.server.inference.loaded_model import CODES, LoadedModel
from serving.server.inference.predict import predict
from serving.server.request import RequestContext

REQUESTS_FILE = Path("assets.extra") / "tf_serving_warmup_requests"
MAX_RECORDS = 1000
REPLAY: dict[str, tuple[str, Callable[[LoadedModel, Any, RequestContext], Any]]] = {
    "predict_log": ("Predict", predict),
    "classify_log": ("Classify", classify),
    "regress_log": ("Regress", regress),
    "multi_inference_log": ("MultiInference", multi_inference),
}


def warm_up(model: LoadedModel, folder: Path, iterations: int = 1) -> None:
    """Replay the version's warm-up file, if there is one.

    Args:
        model: Loaded version.
        folder: Version folder.
        iterations: Repetitions of each record; 0 counts as 1.

    Raises:
        RequestError: With the code of the failed request; DATA_LOSS for an invalid TFRecord file;
            INVALID_ARGUMENT for more than 1000 records or a record that is not a PredictionLog;
            UNIMPLEMENTED for session-run and streamed logs.
    """
    path = folder / REQUESTS_FILE
    if not path.is_file():
        return
    started = time.perf_counter()
    failure: RequestError | None = None
    try:
        for number, record in enumerate(_read_records(path), start=1):
            log = _parse_record(record, path)
            for _ in range(max(1, iterations)):
                _replay(model, log)
            if number > MAX_RECORDS:
                raise invalid_argument(
                    f"Number of warmup records exceeds the maximum ({MAX_RECORDS}) at {path}"
                )
    except RequestError as error:
        failure = error
    microseconds = (time.perf_counter() - started) * 1e6
    status = "OK" if failure is None else failure.code.name
    metrics.WARMUP_LATENCY.observe(microseconds, str(folder), status)
    if failure is not None:
        raise failure


def _read_records(path: Path) -> Iterator[bytes]:
    try:
        yield from tf.compat.v1.io.tf_record_iterator(str(path))
    except tf.errors.DataLossError as error:
        raise RequestError(
            grpc.StatusCode.DATA_LOSS,
            f"{error.message}. Please verify your warmup data is in TFRecord format.",
        ) from None
    except tf.errors.OpError as error:
        raise RequestError(CODES[error.error_code], error.message) from None


def _parse_record(record: bytes, path: Path) -> Any:
    try:
        return prediction_log_pb2.PredictionLog.FromString(record)
    except DecodeError:
        shown = record[:100].decode("utf-8", "replace")
        raise invalid_argument(f"Failed to parse warmup record: {shown} from {path}") from None


def _replay(model: LoadedModel, log: Any) -> None:
    kind = log.WhichOneof("log_type")
    if kind is None:
        return
    if kind not in REPLAY:
        number = log.DESCRIPTOR.fields_by_name[kind].number
        raise RequestError(
            grpc.StatusCode.UNIMPLEMENTED, f"Unsupported log_type for warmup: {number}"
        )
    api, answer = REPLAY[kind]
    answer(model, getattr(log, kind).request, RequestContext("WARMUP", api))
