"""One version of a SavedModel, loaded and ready to run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from tensorflow.python.client import pywrap_tf_session

from serving.server.errors import RequestError, invalid_argument

CODES = {code.value[0]: code for code in grpc.StatusCode}


class LoadedModel:
    """A SavedModel in a graph and a session of its own.

    Runs go straight to the session's C++ interface. It is what TensorFlow Serving calls, so
    errors have the same codes and texts; `Session.run` would cast dtypes, compare shapes and
    cost 0.2 ms more. The GIL is free while the graph runs. Raises whatever TensorFlow raises
    for a folder that is not a sound SavedModel.
    """

    def __init__(self, version: int, folder: Path):
        self.version = version
        self._graph = tf.Graph()
        self._session = tf.compat.v1.Session(graph=self._graph)
        try:
            with self._graph.as_default():
                meta_graph = tf.compat.v1.saved_model.load(self._session, ["serve"], str(folder))
            # A run does not extend the graph, so that threads need no lock.
            self._session._extend_graph()
        except BaseException:
            self._session.close()
            raise
        self.signatures: Mapping[str, Any] = dict(meta_graph.signature_def)
        self._tensors = {
            info.name: self._graph.as_graph_element(info.name)
            for signature in self.signatures.values()
            for info in (*signature.inputs.values(), *signature.outputs.values())
            if self._has_tensor(info.name)
        }

    def run(
        self, feeds: Mapping[str, np.ndarray], fetches: Sequence[str], timeout: float | None
    ) -> list[tuple[int, Any]]:
        """(DataType, value) of each tensor in `fetches`; `timeout` is in seconds.

        Values are arrays, or a bare scalar or bytes for rank 0. Raises RequestError with the
        runtime's own code and message.
        """
        for name in (*feeds, *fetches):
            if name not in self._tensors:
                raise invalid_argument(
                    f"Tensor {name}, specified in either feed_devices or fetch_devices was not "
                    "found in the Graph"
                )
        outputs = [self._tensors[name] for name in fetches]
        options = tf.compat.v1.RunOptions()
        if timeout is not None:
            options.timeout_in_ms = max(1, int(timeout * 1000))
        buffer = pywrap_tf_session.TF_NewBufferFromString(options.SerializeToString())
        try:
            values = self._session._call_tf_sessionrun(
                buffer,
                {self._tensors[name]._as_tf_output(): array for name, array in feeds.items()},
                [tensor._as_tf_output() for tensor in outputs],
                [],
                None,
            )
        except tf.errors.OpError as error:
            raise RequestError(CODES[error.error_code], error.message) from None
        except UnicodeDecodeError as error:
            # An op quoted input that is not UTF-8 in its message, and TensorFlow's bindings
            # lost the status on the way to Python; ops that quote input complain about it.
            raise invalid_argument(error.object.decode("utf-8", "replace")) from None
        finally:
            pywrap_tf_session.TF_DeleteBuffer(buffer)
        return [
            (tensor.dtype.as_datatype_enum, value)
            for tensor, value in zip(outputs, values, strict=True)
        ]

    def close(self) -> None:
        """Give the memory back; runs that are still going end with CANCELLED."""
        self._session.close()

    def _has_tensor(self, name: str) -> bool:
        # Signatures also name operations (TF2's __saved_model_init_op) and sparse tensors.
        try:
            self._graph.as_graph_element(name, allow_operation=False)
        except (KeyError, ValueError):
            return False
        return True
