"""BatchingParameters: batch size, timeout and queue length.

Fields and defaults are those of servables/tensorflow/session_bundle_config.proto, checks and
messages those of TensorFlow Serving (bundle_factory_util, shared_batch_scheduler).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from serving.proto_builder import build_messages
from serving.server.errors import invalid_argument
from serving.server.flags import CPUS
from serving.server.text_proto import read_text_proto

FIELDS = (
    "max_batch_size=1 Int64Value",
    "batch_timeout_micros=2 Int64Value",
    "max_enqueued_batches=3 Int64Value",
    "num_batch_threads=4 Int64Value",
    "thread_pool_name=5 StringValue",
    "allowed_batch_sizes=6 repeated int64",
    "pad_variable_length_inputs=7 bool",
    "enable_large_batch_splitting=8 BoolValue",
    "max_execution_batch_size=9 Int64Value",
)
MESSAGES = build_messages(
    "Int64Value: value=1 int64\n"
    "BoolValue: value=1 bool\n"
    "StringValue: value=1 string\n"
    f"BatchingParameters: {', '.join(FIELDS)}"
)
WRAPPED = [field.partition("=")[0] for field in FIELDS if field.endswith("Value")]


@dataclass(frozen=True)
class BatchingParameters:
    """Batching parameters; sizes in rows."""

    max_batch_size: int = 1000
    batch_timeout_micros: int = 0
    max_enqueued_batches: int = 10
    num_batch_threads: int = CPUS
    thread_pool_name: str = "batch_threads"
    allowed_batch_sizes: tuple[int, ...] = ()
    pad_variable_length_inputs: bool = False
    enable_large_batch_splitting: bool = False
    max_execution_batch_size: int = 0

    @property
    def run_size(self) -> int:
        """Most rows of one run; larger requests are split where that is enabled."""
        if self.enable_large_batch_splitting and self.max_execution_batch_size:
            return self.max_execution_batch_size
        return self.max_batch_size

    def pad(self, rows: int) -> int:
        """Return the smallest allowed batch size of at least `rows`; `rows` without one."""
        return next((size for size in self.allowed_batch_sizes if size >= rows), rows)

    def check(self) -> None:
        """Raise RequestError (INVALID_ARGUMENT) for invalid parameters."""
        if self.max_batch_size < 1:
            raise invalid_argument(
                f"input_batch_size_limit must be positive; was {self.max_batch_size}"
            )
        if self.batch_timeout_micros < 0:
            raise invalid_argument(
                f"batch_timeout_micros must be non-negative; was {self.batch_timeout_micros}"
            )
        if self.max_enqueued_batches < 1:
            raise invalid_argument(
                f"max_enqueued_batches must be positive; was {self.max_enqueued_batches}"
            )
        if self.max_execution_batch_size < 0:
            raise invalid_argument(
                f"max_execution_batch_size must be positive; was {self.max_execution_batch_size}"
            )
        if self.run_size > self.max_batch_size:
            raise invalid_argument(
                "When enable_large_batch_splitting is true, input_batch_size_limit must be "
                "greater than or equal to max_execution_batch_size."
            )
        self._check_allowed_batch_sizes()

    def _check_allowed_batch_sizes(self) -> None:
        sizes = self.allowed_batch_sizes
        if not sizes:
            return
        if sizes[0] < 1 or any(low >= high for low, high in zip(sizes, sizes[1:], strict=False)):
            raise invalid_argument("allowed_batch_sizes entries must be monotonically increasing")
        # TensorFlow Serving has two checks for split requests, which contradict each other unless
        # both limits are equal: a file that satisfies either is accepted.
        if sizes[-1] not in (self.max_batch_size, self.run_size):
            wanted = "match max_batch_size"
            if self.enable_large_batch_splitting:
                wanted = "be equal to max_execution_batch_size"
            raise invalid_argument(
                f"Last entry in allowed_batch_sizes must {wanted}; last entry was {sizes[-1]}; "
                f"expected {self.run_size}"
            )


def read_batching_parameters(path: Path) -> BatchingParameters:
    """Read text BatchingParameters without checking them; raises RequestError."""
    message = read_text_proto(path, MESSAGES["BatchingParameters"]())
    given = {name: getattr(message, name).value for name in WRAPPED if message.HasField(name)}
    if not given.get("enable_large_batch_splitting") and given.get("max_enqueued_batches") == 0:
        # TensorFlow Serving accepts this value of old files.
        given["max_enqueued_batches"] = 1
    return BatchingParameters(
        **given,
        allowed_batch_sizes=tuple(message.allowed_batch_sizes),
        pad_variable_length_inputs=message.pad_variable_length_inputs,
    )
