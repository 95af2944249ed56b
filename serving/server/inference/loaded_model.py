"""Loaded SavedModel."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import tensorflow as tf

from serving.server import metrics
from serving.server.errors import RequestError, invalid_argument
from serving.server.flags import ServerFlags
from serving.server.library_internals import extend_graph, run_session, tensor_handle
from serving.server.request import RequestContext

CODES = {code.value[0]: code for code in grpc.StatusCode}


@dataclass(frozen=True)
class ServingOptions:
    """Options of checks and responses."""

    check_method_names: bool = False
    answer_in_tensor_content: bool = False


def read_options(flags: ServerFlags) -> ServingOptions:
    """Extract the options from the flags."""
    return ServingOptions(
        check_method_names=flags.enable_signature_method_name_check,
        answer_in_tensor_content=flags.enable_serialization_as_tensor_content,
    )


class LoadedModel:
    """SavedModel in a graph and session of its own.

    Runs call the session's C++ API directly, as TensorFlow Serving does, so that errors have the
    same codes and messages; `Session.run` would cast dtypes, compare shapes and take 0.2 ms longer.
    The GIL is released while the graph runs. The constructor raises TensorFlow's exceptions for an
    invalid SavedModel.

    Args:
        name: Name of the model.
        version: Version number.
        folder: Version folder.
        tags: Tags of the graph to load.
        session_config: tf.compat.v1.ConfigProto.
        options: Options of checks and responses.
    """

    def __init__(
        self,
        name: str,
        version: int,
        folder: Path,
        tags: Sequence[str] = ("serve",),
        session_config: Any = None,
        options: ServingOptions = ServingOptions(),
    ):
        self.name = name
        self.version = version
        self.options = options
        self.batcher: Any = None
        self._graph = tf.Graph()
        self._session = tf.compat.v1.Session(graph=self._graph, config=session_config)
        try:
            with self._graph.as_default():
                meta_graph = tf.compat.v1.saved_model.load(self._session, list(tags), str(folder))
            extend_graph(self._session)
        except BaseException:
            self._session.close()
            raise
        self.signatures: Mapping[str, Any] = dict(meta_graph.signature_def)
        found = {
            info.name: self._find_tensor(info.name)
            for signature in self.signatures.values()
            for info in (*signature.inputs.values(), *signature.outputs.values())
        }
        # Handle of the session's C++ API, and DataType, by tensor name.
        self._tensors = {
            name: (tensor_handle(tensor), tensor.dtype.as_datatype_enum)
            for name, tensor in found.items()
            if tensor is not None
        }

    def run(
        self, feeds: Mapping[str, np.ndarray], fetches: Sequence[str], context: RequestContext
    ) -> list[tuple[int, Any]]:
        """Run a request, batched where a batcher is attached.

        An expired or cancelled request is not run. See `run_unbatched`.
        """
        context.check()
        started = time.perf_counter()
        if self.batcher is not None:
            values = self.batcher.run(feeds, fetches, context)
        else:
            values = self.run_unbatched(feeds, fetches, context.remaining())
        # REST labels are lower case, but this metric has one label for an API.
        api = context.api.capitalize() if context.api.islower() else context.api
        microseconds = (time.perf_counter() - started) * 1e6
        metrics.RUNTIME_LATENCY.observe(microseconds, self.name, api, "TF1")
        return values

    def run_unbatched(
        self, feeds: Mapping[str, np.ndarray], fetches: Sequence[str], timeout: float | None
    ) -> list[tuple[int, Any]]:
        """Run the graph once.

        Args:
            feeds: Arrays by tensor name.
            fetches: Names of the tensors to fetch.
            timeout: Seconds; None: no timeout.

        Returns:
            (DataType, value) of each fetch; values are arrays, or scalars or bytes for rank 0.

        Raises:
            RequestError: With the runtime's code and message.
        """
        for name in (*feeds, *fetches):
            if name not in self._tensors:
                raise self._build_tensor_error(name)
        outputs = [self._tensors[name] for name in fetches]
        options = tf.compat.v1.RunOptions()
        if timeout is not None:
            options.timeout_in_ms = max(1, int(timeout * 1000))
        started = time.perf_counter()
        try:
            values = run_session(
                self._session,
                options,
                {self._tensors[name][0]: array for name, array in feeds.items()},
                [tensor for tensor, _ in outputs],
            )
        except tf.errors.OpError as error:
            raise RequestError(CODES[error.error_code], error.message) from None
        except UnicodeDecodeError as error:
            # The message of an op quotes input that is not UTF-8, which TensorFlow's bindings
            # cannot convert, losing the status; ops that quote input reject it as invalid.
            raise invalid_argument(error.object.decode("utf-8", "replace")) from None
        microseconds = (time.perf_counter() - started) * 1e6
        metrics.RUN_TIME.observe(microseconds, self.name, str(self.version))
        return [(datatype, value) for (_, datatype), value in zip(outputs, values, strict=True)]

    def close(self) -> None:
        """Release the memory; running requests end with CANCELLED."""
        if self.batcher is not None:
            self.batcher.close()
        self._session.close()

    def _find_tensor(self, name: str) -> Any:
        # Signatures also name operations (TF2's __saved_model_init_op), and sparse and composite
        # tensors have no name of their own.
        operation, colon, index = name.partition(":")
        try:
            return self._graph.as_graph_element(f"{operation}:{index if colon else 0}")
        except (KeyError, ValueError):
            return None

    def _build_tensor_error(self, name: str) -> RequestError:
        try:
            operation = self._graph.get_operation_by_name(name.partition(":")[0])
        except (KeyError, ValueError):
            shown = name if ":" in name else f"{name}:0"
            return invalid_argument(
                f"Tensor {shown}, specified in either feed_devices or fetch_devices was not found "
                "in the Graph"
            )
        if not operation.outputs:
            return invalid_argument(
                f"Tried to fetch data for '{name}', which produces no output.  To run to a node "
                f"but not fetch any data, pass '{name}' as an argument to the 'target_node_names' "
                "argument of the Session::Run API."
            )
        return invalid_argument(
            f"FetchOutputs {name}: output index too large, must be < {len(operation.outputs)}"
        )
