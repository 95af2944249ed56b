"""The measured server flags: the rule, the files, and that our server reads them.

test_export.py has an export that is measured.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from serving.server.batching.parameters import read_batching_parameters
from serving.server.flags import parse_flags
from serving.server.lifecycle.loader import Loader
from tfpipe.doctoring import serving_lines
from tfpipe.export import Export
from tfpipe.exporting.server_flags import (
    BATCHING_FILE,
    FLAGS_FILE,
    LARGEST_REQUEST,
    as_json,
    list_flags,
    recommend_flags,
    write_flags,
)
from tfpipe.exporting.serving_benchmark import Measurements, Recommendation, measure, recommend
from tfpipe.exporting.warmup import BATCH_SIZES
from tfpipe.run_folder import Run
from tfpipe.tasks.classify.task import Classify

TASK = Classify(["card", "refund", "weather"])
LOADS = [(1, 1), (1, 16), (8, 8), (32, 8)]
PARAMETERS = ["max_batch_size", "batch_timeout_micros", "num_batch_threads", "max_enqueued_batches"]


def figures(*settings: list[float], threads: tuple[int, ...] = (0, 1, 2, 4)) -> Measurements:
    """Three rounds alike; a setting's texts/s under each load, waits to match."""
    rate = np.array(settings, float)
    rows, clients = np.array(LOADS).T
    found = np.stack([rate, rows * clients / rate * 1000], axis=-1)
    repeated = np.repeat(found[:, None], 3, axis=1)
    return Measurements("a chip", 8, [], threads[: len(settings)], LOADS, repeated)


def test_threads_are_changed_for_more_than_noise_only() -> None:
    default = [50.0, 100, 100, 100]
    assert recommend(figures(default)) == Recommendation(0, 0)
    assert recommend(figures(default, [50, 104, 104, 104])).setting == 0
    assert recommend(figures(default, [50, 120, 120, 120], [50, 130, 130, 130])).setting == 2
    # A lone request takes 25 % longer, then 6 %.
    assert recommend(figures(default, [40, 120, 120, 120])).setting == 0
    assert recommend(figures(default, [47, 120, 120, 120])).setting == 1


def test_what_is_better_is_so_in_every_round() -> None:
    found = figures([50, 100, 150, 150], [50, 120, 200, 200])
    assert recommend(found) == Recommendation(1, 8)
    found.found[1, 2, 1, 0] = 99
    assert recommend(found) == Recommendation(0, 8)
    found.found[0, 1, 2, 0] = 90
    assert recommend(found) == Recommendation(0, 0)


def test_batching_is_on_only_where_it_pays() -> None:
    assert recommend(figures([50, 100, 119, 500])).batch == 0
    assert recommend(figures([50, 100, 121, 125])).batch == 8
    assert recommend(figures([50, 100, 121, 130])).batch == 32


def test_batching_is_judged_with_the_threads_that_are_chosen() -> None:
    found = figures([50, 100, 150, 150], [50, 140, 150, 150])
    assert recommend(found) == Recommendation(1, 0)
    assert list_flags(found, Recommendation(1, 0)) == ["--tensorflow_intra_op_parallelism=1"]


def test_the_files_say_why(tmp_path: Path) -> None:
    assert serving_lines.FLAGS_FILE == FLAGS_FILE
    found = replace(figures([50, 100, 119, 119], [50, 90, 110, 110]), gpus=["a card"])
    write_flags(tmp_path, found, Recommendation(0, 8))
    write_flags(tmp_path, found, recommend(found))
    text = (tmp_path / FLAGS_FILE).read_text()
    assert all(line.startswith("#") for line in text.splitlines())
    assert "on a chip, 8 cores, a card," in text and "3 rounds" in text
    default, one = [line.split("|") for line in text.splitlines() if "/s " in line]
    assert default[0].split() == ["#", "default"] and default[1].strip() == "50/s 20.0 ms"
    assert one[4].strip() == "110/s 2327.3 ms"
    assert "does not pay here and is off: 119 texts per second in batches of 8, 100" in text
    assert not (tmp_path / BATCHING_FILE).exists()
    assert serving_lines.read_flags(tmp_path, "/m/1") == []


def test_the_flags_file_shows_the_numbers_of_the_json(tmp_path: Path) -> None:
    found = figures([374.54, 100, 100, 100])
    write_flags(tmp_path, found, Recommendation(0, 0))
    rate = as_json(found, Recommendation(0, 0))["measured"][0]["texts_per_second"]
    assert rate == 374.5
    assert f" {rate:.0f}/s " in (tmp_path / FLAGS_FILE).read_text()


@pytest.mark.parametrize("batch", [8, 32])
def test_our_server_batches_as_the_files_say(
    published: tuple[Run, Export], tmp_path: Path, batch: int
) -> None:
    folder = tmp_path / "1"
    shutil.copytree(published[1].folder, folder)
    write_flags(folder, figures([50, 100, 200, 300], [50, 120, 240, 360]), Recommendation(1, batch))
    assert "1 thread within an operation: 1.20 times" in (folder / FLAGS_FILE).read_text()
    flags = parse_flags(
        [f"--model_base_path={tmp_path}", *serving_lines.read_flags(folder, str(folder))]
    )
    assert flags.enable_batching and flags.tensorflow_intra_op_parallelism == 1
    assert flags.grpc_max_threads == flags.rest_api_num_threads == 16 * batch

    parameters = read_batching_parameters(Path(flags.batching_parameters_file))
    assert (parameters.run_size, parameters.num_batch_threads) == (batch, 8)
    assert parameters.batch_timeout_micros == 0 and not parameters.pad_variable_length_inputs
    # The largest request is no larger than all that may wait.
    assert parameters.max_batch_size == LARGEST_REQUEST
    assert parameters.max_enqueued_batches * batch >= LARGEST_REQUEST
    text = (folder / BATCHING_FILE).read_text()
    assert all(name in text for name in PARAMETERS) and "pad_variable" not in text
    # Its warm-up has requests that are larger than a batch.
    assert max(BATCH_SIZES) > batch
    Loader(flags).load("tiny", 1, folder).close()


def test_few_texts_are_not_measured(
    published: tuple[Run, Export], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    few = published[0].read_dev().take(range(7))
    assert recommend_flags(tmp_path, TASK, few) == {}
    assert "serving is not measured: 7 dev texts, 8 are needed" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_an_export_that_cannot_be_opened(published: tuple[Run, Export], tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"--no-measure-serving(?s:.*)SavedModel file does not"):
        measure(tmp_path, TASK, published[0].read_dev())
