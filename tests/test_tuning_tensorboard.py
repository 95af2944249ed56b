"""TensorBoard's HPARAMS tab, read back by TensorBoard itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.context import RequestContext
from tensorboard.plugins.base_plugin import TBContext
from tensorboard.plugins.hparams import api_pb2
from tensorboard.plugins.hparams.backend_context import Context
from tensorboard.plugins.hparams.get_experiment import Handler as ExperimentHandler
from tensorboard.plugins.hparams.list_session_groups import Handler as GroupsHandler

from tuning.report.tensorboard_hparams import RUNNING_FILE, SUFFIX, write_study, write_trial
from tuning.space import Parameter
from tuning.trial_result import COMPLETED, FAILED, RUNNING, STOPPED, TrialResult

PARAMETERS = [
    Parameter("learning_rate", "float", low=1e-5, high=1e-3, log=True),
    Parameter("epochs", "int", low=1, high=4),
    Parameter("batch_size", "choice", values=(16, 32)),
    Parameter("deterministic", "choice", values=(True, False)),
    Parameter("schedule", "choice", values=("linear", "<b>余弦</b>")),
    Parameter("warmup", "float", values=tuple(i / 100 for i in range(31))),
]
VALUES: dict[str, Any] = {
    "learning_rate": 3e-5,
    "epochs": 2,
    "batch_size": 16,
    "deterministic": True,
    "schedule": "<b>余弦</b>",
}


class Reader:
    """TensorBoard's loading and its plugin, without its server; `load` reads what is new."""

    def __init__(self, folder: Path):
        self.folder = str(folder)
        self.events = EventMultiplexer()
        provider = MultiplexerDataProvider(self.events, self.folder)
        self.context = Context(TBContext(data_provider=provider, logdir=self.folder))
        self.load()

    def load(self) -> None:
        self.events.AddRunsFromDirectory(self.folder)
        self.events.Reload()

    def experiment(self) -> Any:
        request = api_pb2.GetExperimentRequest(include_metrics=True)
        return ExperimentHandler(RequestContext(), self.context, "", request).run()

    def groups(self) -> list[Any]:
        request = api_pb2.ListSessionGroupsRequest(
            start_index=0,
            slice_size=100,
            allowed_statuses=[
                api_pb2.STATUS_UNKNOWN,
                api_pb2.STATUS_SUCCESS,
                api_pb2.STATUS_FAILURE,
            ],
            aggregation_type=api_pb2.AGGREGATION_AVG,
        )
        answer = GroupsHandler(RequestContext(), self.context, "", request).run()
        return sorted(answer.session_groups, key=lambda group: group.name)


def curve(logs: Path, *values: float) -> Any:
    writer = tf.summary.create_file_writer(str(logs))
    with writer.as_default():
        for step, value in enumerate(values, start=1):
            tf.summary.scalar("dev/accuracy", value, step=step)
    writer.flush()
    return writer


def plain(value: Any) -> Any:
    return getattr(value, value.WhichOneof("kind"))


def metrics(group: Any) -> dict[str, float]:
    return {one.name.tag: round(one.value, 4) for one in group.metric_values}


def own(logs: Path) -> list[str]:
    return sorted(path.name for path in logs.glob(f"*{SUFFIX}"))


def test_study_tells_domains_and_metrics(tmp_path: Path) -> None:
    write_study(tmp_path, PARAMETERS, "dev.accuracy")
    write_study(tmp_path, PARAMETERS, "dev.accuracy")
    assert [path.name for path in tmp_path.iterdir()] == [RUNNING_FILE]
    experiment = Reader(tmp_path).experiment()
    assert [one.name.tag for one in experiment.metric_infos] == [
        "dev/best_accuracy",
        "dev/accuracy",
    ]
    domains = {
        one.name: [plain(value) for value in one.domain_discrete.values]
        or (one.domain_interval.min_value, one.domain_interval.max_value)
        for one in experiment.hparam_infos
    }
    assert domains == {
        "learning_rate": (1e-5, 1e-3),
        "epochs": (1, 4),
        "batch_size": [16, 32],
        "deterministic": [False, True],
        "schedule": ["<b>余弦</b>", "linear"],
        "warmup": (0, 0.3),
    }


def test_trials_have_values_score_end_and_curve(tmp_path: Path) -> None:
    write_study(tmp_path, PARAMETERS, "dev.accuracy")
    ends = {1: COMPLETED, 2: STOPPED, 3: FAILED, 4: RUNNING}
    for number, status in ends.items():
        logs = tmp_path / "trials" / f"{number:04d}" / "run" / "logs"
        curve(logs, 0.5, 0.8, 0.7).close()
        score = 0.8 if status in (COMPLETED, STOPPED) else None
        write_trial(logs, TrialResult(number, status, VALUES, score, 30.0), "dev.accuracy")
    groups = Reader(tmp_path).groups()
    assert [group.name for group in groups] == ["0001", "0002", "0003", "0004"]
    for group in groups:
        # A parameter whose condition does not hold has no value.
        assert {name: plain(value) for name, value in group.hparams.items()} == VALUES
    assert [metrics(group) for group in groups] == [
        {"dev/best_accuracy": 0.8, "dev/accuracy": 0.7},
        {"dev/best_accuracy": 0.8, "dev/accuracy": 0.7},
        {"dev/accuracy": 0.7},
        {"dev/accuracy": 0.7},
    ]
    success, failure = api_pb2.STATUS_SUCCESS, api_pb2.STATUS_FAILURE
    sessions = [group.sessions[0] for group in groups]
    expected = [success, success, failure, api_pb2.STATUS_UNKNOWN]
    assert [one.status for one in sessions] == expected
    assert sessions[0].end_time_secs - sessions[0].start_time_secs == pytest.approx(30.0)


def test_seeds_are_one_group(tmp_path: Path) -> None:
    write_study(tmp_path, PARAMETERS, "dev.accuracy")
    for seed, last in ((1, 0.6), (2, 0.8)):
        logs = tmp_path / "trials" / "0001" / f"run-{seed}" / "logs"
        curve(logs, last).close()
        write_trial(logs, TrialResult(1, COMPLETED, VALUES, 0.75), "dev.accuracy")
    (group,) = Reader(tmp_path).groups()
    assert len(group.sessions) == 2
    assert metrics(group) == {"dev/best_accuracy": 0.75, "dev/accuracy": 0.7}


def test_reading_along_misses_neither_curve_nor_end(tmp_path: Path) -> None:
    write_study(tmp_path, PARAMETERS, "dev.accuracy")
    logs = tmp_path / "trials" / "0001" / "run" / "logs"
    writer = curve(logs, 0.5)
    write_trial(logs, TrialResult(1, RUNNING, VALUES), "dev.accuracy")
    reader = Reader(tmp_path)
    assert metrics(reader.groups()[0]) == {"dev/accuracy": 0.5}
    with writer.as_default():
        tf.summary.scalar("dev/accuracy", 0.6, step=2)
    writer.close()
    reader.load()
    assert metrics(reader.groups()[0]) == {"dev/accuracy": 0.6}
    write_trial(logs, TrialResult(1, COMPLETED, VALUES, 0.6), "dev.accuracy")
    reader.load()
    (group,) = reader.groups()
    assert metrics(group) == {"dev/best_accuracy": 0.6, "dev/accuracy": 0.6}
    assert group.sessions[0].status == api_pb2.STATUS_SUCCESS


def test_one_file_a_trial_the_newest(tmp_path: Path) -> None:
    running, failed = (
        TrialResult(1, RUNNING, VALUES),
        TrialResult(1, FAILED, VALUES, reason="killed"),
    )
    write_trial(tmp_path, running, "dev.accuracy")
    write_trial(tmp_path, running, "dev.accuracy")
    assert own(tmp_path) == [RUNNING_FILE]
    write_trial(tmp_path, failed, "dev.accuracy")
    assert len(own(tmp_path)) == 1 and own(tmp_path) != [RUNNING_FILE]
    write_trial(tmp_path, running, "dev.accuracy")
    assert own(tmp_path) == [RUNNING_FILE]
    write_trial(tmp_path, TrialResult(1, COMPLETED, VALUES, 0.5), "dev.accuracy")
    assert [path.name for path in tmp_path.iterdir()] == own(tmp_path)
    assert Reader(tmp_path).groups()[0].sessions[0].status == api_pb2.STATUS_SUCCESS


def test_the_folder_is_left_to_training_until_the_end(tmp_path: Path) -> None:
    logs = tmp_path / "run" / "logs"
    write_trial(logs, TrialResult(1, RUNNING, VALUES), "dev.accuracy")
    assert not logs.parent.exists()
    write_trial(logs, TrialResult(1, FAILED, VALUES), "dev.accuracy")
    assert len(own(logs)) == 1


def test_score_that_is_no_number_is_no_point(tmp_path: Path) -> None:
    write_trial(tmp_path, TrialResult(1, COMPLETED, VALUES, float("nan")), "dev.accuracy")
    write_study(tmp_path, PARAMETERS, "dev.accuracy")
    assert metrics(Reader(tmp_path).groups()[0]) == {}


def test_what_is_half_written_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError("No space left on device")

    write_trial(tmp_path, TrialResult(1, RUNNING, VALUES), "dev.accuracy")
    before = (tmp_path / RUNNING_FILE).read_bytes()
    monkeypatch.setattr("tuning.report.tensorboard_hparams.os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_trial(tmp_path, TrialResult(1, COMPLETED, VALUES, 0.5), "dev.accuracy")
    assert [path.name for path in tmp_path.iterdir()] == [RUNNING_FILE]
    assert (tmp_path / RUNNING_FILE).read_bytes() == before
