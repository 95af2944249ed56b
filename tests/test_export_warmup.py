"""The warm-up file of an export: what is in it, and that our server replays it."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from serving.server import metrics
from serving.server.errors import RequestError
from serving.server.flags import parse_flags
from serving.server.inference.warmup import MAX_RECORDS as SERVER_LIMIT
from serving.server.inference.warmup import REQUESTS_FILE as SERVER_FILE
from serving.server.lifecycle.loader import Loader
from tfpipe.data.examples import Columns, Examples
from tfpipe.export import Export
from tfpipe.exporting.warmup import (
    BATCH_SIZES,
    MOST_RECORDS,
    REQUESTS_FILE,
    choose_rows,
    read_warm_up,
    write_warm_up,
)
from tfpipe.run_folder import Run
from tfpipe.tasks.classify.task import Classify


def texts_of(log) -> list[str]:
    tensor = log.predict_log.request.inputs["text"]
    assert [dim.size for dim in tensor.tensor_shape.dim] == [len(tensor.string_val)]
    return [value.decode() for value in tensor.string_val]


def test_a_request_for_each_batch_size_and_length_class() -> None:
    lengths = np.array([5, 3, 9, 4, 7])
    rows = choose_rows(lengths)
    assert [len(chosen) for chosen in rows] == [size for size in BATCH_SIZES for _ in range(3)]
    assert rows[:3] == [[1], [0], [2]]
    assert rows[3] == [1, 3, 0, 4, 2, 1, 3, 0]
    many = choose_rows(np.arange(1000))
    assert many[3] == list(range(8)) and many[5] == list(range(992, 1000))
    assert many[4] == list(range(496, 504))


def test_the_file_holds_the_run_s_dev_texts(published: tuple[Run, Export]) -> None:
    run, done = published
    logs = read_warm_up(done.folder)
    assert len(logs) == 12 <= MOST_RECORDS == SERVER_LIMIT and REQUESTS_FILE == SERVER_FILE
    dev = set(run.read_dev().texts)
    for log in logs:
        assert set(texts_of(log)) <= dev
        spec = log.predict_log.request.model_spec
        assert (spec.name, spec.signature_name) == ("tiny", "serving_default")
    shortest, _, longest = (texts_of(log)[0] for log in logs[:3])
    assert len(shortest.split()) < len(longest.split())


def load(folder: Path) -> None:
    Loader(parse_flags([f"--model_base_path={folder.parent}"])).load("tiny", 1, folder).close()


def test_our_server_replays_it(published: tuple[Run, Export]) -> None:
    runs = metrics.RUNTIME_LATENCY.total()
    load(published[1].folder)
    assert metrics.RUNTIME_LATENCY.total() == runs + 12


def test_pairs_have_both_inputs_and_a_wrong_one_fails_the_load(
    published: tuple[Run, Export], tmp_path: Path
) -> None:
    folder = tmp_path / "1"
    shutil.copytree(published[1].folder, folder)
    pairs = Examples(["a", "好"], ["c", "d"], None, "x", Columns())
    assert write_warm_up(folder, "tiny", Classify(["a"]), pairs, np.array([3, 3])) == 12
    request = read_warm_up(folder)[0].predict_log.request
    assert set(request.inputs) == {"text", "text_pair"}
    # This model reads single texts: that its file counts is why the load must fail.
    with pytest.raises(RequestError, match="input size does not match signature"):
        load(folder)
