"""BatchingParameters files: parsing, checks, and TensorFlow Serving's messages."""

from __future__ import annotations

import grpc
import pytest

from serving.server.batching.batcher import BatcherFactory
from serving.server.batching.parameters import BatchingParameters, read_batching_parameters
from serving.server.errors import RequestError, StartFailure
from serving.server.flags import CPUS, parse_flags

EVERYTHING = """
max_batch_size { value: 128 }
batch_timeout_micros { value: 500 }
max_enqueued_batches { value: 20 }
num_batch_threads { value: 3 }
thread_pool_name { value: "pool" }
allowed_batch_sizes: 16
allowed_batch_sizes: 64
pad_variable_length_inputs: true
enable_large_batch_splitting { value: true }
max_execution_batch_size { value: 64 }
"""


def read(tmp_path, text: str) -> BatchingParameters:
    path = tmp_path / "parameters.pbtxt"
    path.write_text(text)
    return read_batching_parameters(path)


def test_the_defaults_are_tensorflow_servings(tmp_path):
    parameters = read(tmp_path, "")
    assert parameters == BatchingParameters(
        max_batch_size=1000,
        batch_timeout_micros=0,
        max_enqueued_batches=10,
        num_batch_threads=CPUS,
        thread_pool_name="batch_threads",
    )
    parameters.check()
    assert parameters.run_size == 1000 and parameters.pad(3) == 3


def test_every_field_is_read(tmp_path):
    parameters = read(tmp_path, EVERYTHING)
    assert parameters == BatchingParameters(
        128, 500, 20, 3, "pool", (16, 64), True, True, max_execution_batch_size=64
    )
    parameters.check()
    assert parameters.run_size == 64
    assert [parameters.pad(rows) for rows in (1, 16, 17, 64)] == [16, 16, 64, 64]


def test_old_files_may_allow_no_batch_to_wait(tmp_path):
    assert read(tmp_path, "max_enqueued_batches { value: 0 }").max_enqueued_batches == 1


@pytest.mark.parametrize(
    "text, reported",
    [
        (
            "max_batch_size { value: 32 } allowed_batch_sizes: [8, 16]",
            "Last entry in allowed_batch_sizes must match max_batch_size; last entry was 16; "
            "expected 32",
        ),
        (
            "allowed_batch_sizes: 16",
            "Last entry in allowed_batch_sizes must match max_batch_size; last entry was 16; "
            "expected 1000",
        ),
        (
            "max_batch_size { value: 32 } allowed_batch_sizes: [16, 8, 32]",
            "allowed_batch_sizes entries must be monotonically increasing",
        ),
        (
            "max_batch_size { value: 32 } allowed_batch_sizes: [4, 8] "
            "enable_large_batch_splitting { value: true } max_execution_batch_size { value: 16 }",
            "Last entry in allowed_batch_sizes must be equal to max_execution_batch_size; last "
            "entry was 8; expected 16",
        ),
        (
            "max_batch_size { value: 32 } enable_large_batch_splitting { value: true } "
            "max_execution_batch_size { value: 64 }",
            "When enable_large_batch_splitting is true, input_batch_size_limit must be greater "
            "than or equal to max_execution_batch_size.",
        ),
        ("max_batch_size { value: 0 }", "input_batch_size_limit must be positive; was 0"),
        (
            "batch_timeout_micros { value: -1 }",
            "batch_timeout_micros must be non-negative; was -1",
        ),
        (
            "max_enqueued_batches { value: 0 } enable_large_batch_splitting { value: true }",
            "max_enqueued_batches must be positive; was 0",
        ),
    ],
)
def test_parameters_that_no_model_can_be_loaded_with(tmp_path, text, reported):
    with pytest.raises(RequestError) as caught:
        read(tmp_path, text).check()
    assert (caught.value.code, caught.value.details) == (grpc.StatusCode.INVALID_ARGUMENT, reported)


def test_a_file_that_is_none_keeps_the_server_from_starting(tmp_path):
    def start(path) -> StartFailure:
        flags = parse_flags(["--enable_batching", f"--batching_parameters_file={path}"])
        with pytest.raises(StartFailure) as caught:
            BatcherFactory(flags)
        return caught.value

    path = tmp_path / "parameters.pbtxt"
    assert start(path).code is grpc.StatusCode.NOT_FOUND
    for content in (b"max_batch_sise { value: 1 }", b"max_batch_size: 3", b"\xff\xfe"):
        path.write_bytes(content)
        failure = start(path)
        assert failure.code is grpc.StatusCode.INVALID_ARGUMENT
        assert failure.details == f"Invalid protobuf file: '{path}'"
    path.write_text("num_batch_threads { value: 0 }")
    assert start(path).details == "num_batch_threads must be positive; was 0"
