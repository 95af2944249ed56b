"""Several trainings: seeds on one dev split, folds with an answer to every row, wrong labels."""

from __future__ import annotations

import json
import signal
import statistics
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support import commands
from tests.support.data import write_messages
from tests.support.runs import tiny_config
from tfpipe import repeated_training, train
from tfpipe.config import RepeatConfig, TrainConfig
from tfpipe.data.tabular import read_rows
from tfpipe.errors import Interrupted, UserError
from tfpipe.repeated_training import repeat
from tfpipe.run_folder import Run
from tfpipe.training.preemption import SignalHandler

OTHER = {"card": "refund", "refund": "weather", "weather": "card"}
ROWS, WRONG = 200, [5, 40, 77]


def table(path: Path) -> list[dict[str, str]]:
    header, rows = read_rows(path)
    return [dict(zip(header, row, strict=True)) for row in rows]


@pytest.fixture
def configured(tmp_path: Path) -> TrainConfig:
    """A training of messages, three of which have a wrong label."""
    data = write_messages(tmp_path / "messages.tsv", rows=ROWS)
    lines = data.read_text(encoding="utf-8").splitlines()
    for row in WRONG:
        text, label = lines[row].split("\t")
        lines[row] = f"{text}\t{OTHER[label]}"
    data.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return tiny_config(
        tmp_path, epochs=5, learning_rate=6e-3, dev="0.1", output=str(tmp_path / "out")
    )


def test_folds_answer_every_row_and_find_wrong_labels(
    configured: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[str] = []

    def train_here(config: TrainConfig, _: Path, stop: SignalHandler) -> int:
        if len(trained) == 1:
            # Ctrl-C before the second training has begun.
            trained.append("")
            stop.signal = signal.SIGINT
            return 130
        trained.append(Path(str(config.output)).name)
        train.train(config)
        return 0

    monkeypatch.setattr(repeated_training, "train_separately", train_here)
    folder, folds = Path(str(configured.output)), RepeatConfig(find_label_errors=2)
    with pytest.raises(Interrupted, match="1 finished trainings are kept") as stopped:
        repeat(configured, folds)
    assert stopped.value.status == 130 and not (folder / "predictions.tsv").exists()
    with pytest.raises(UserError, match="another plan") as refused:
        repeat(replace(configured, epochs=9), folds)
    assert "epochs 5, now 9" in refused.value.found
    summary = repeat(configured, folds)
    assert trained == ["fold-1", "", "fold-2"]

    # ---- every row once, in the order of the file
    answers, given = table(folder / "predictions.tsv"), table(Path(str(configured.train)))
    assert [one["row"] for one in answers] == [str(row) for row in range(1, ROWS + 1)]
    assert [one["line"] for one in answers] == [str(row) for row in range(2, ROWS + 2)]
    assert [(one["text"], one["gold"]) for one in answers] == [
        (one["text"], one["label"]) for one in given
    ]
    accuracies = []
    for number in (1, 2):
        fold = [one for one in answers if one["fold"] == str(number)]
        right = statistics.fmean(one["gold"] == one["predicted"] for one in fold)
        run = Run(folder / f"fold-{number}")
        accuracies.append(run.metrics["test"]["accuracy"])
        assert right == pytest.approx(accuracies[-1]) and len(fold) == ROWS / 2
        assert run.config.split_seed == configured.seed
    found = json.loads((folder / "summary.json").read_text())["figures"]["test.accuracy"]
    assert found == summary.figures["test.accuracy"]
    assert found["values"] == accuracies and found["mean"] == statistics.fmean(accuracies)
    assert found["std"] == pytest.approx(statistics.stdev(accuracies))
    assert (found["min"], found["max"]) == (min(accuracies), max(accuracies))

    # ---- the labels that were made wrong are among the first
    suspects = table(folder / "suspects.tsv")
    first = {one["row"] for one in suspects[:8]}
    assert len(first & {str(row) for row in WRONG}) >= 2
    assert all(given[int(one["row"]) - 1]["label"] == one["label"] for one in suspects)
    margins = [float(one["score"]) - float(one["label_score"]) for one in suspects]
    assert margins == sorted(margins, reverse=True)


def test_seeds_share_one_dev_split(configured: TrainConfig) -> None:
    commands.prepare()
    folder = Path(str(configured.output))
    summary = repeat(replace(configured, epochs=1), RepeatConfig(seeds=2))
    first, second = (Run(folder / f"seed-{number}") for number in (1, 2))
    assert [first.config.seed, second.config.seed] == [1, 2]
    assert first.data["dev_sha256"] == second.data["dev_sha256"]
    losses = [run.metrics["dev"]["loss"] for run in (first, second)]
    assert summary.figures["dev.loss"]["values"] == losses and losses[0] != losses[1]
    heading, *lines = summary.lines()
    assert heading == "metric\tmean\tstd\tmin\tmax"
    assert f"dev.loss\t{statistics.fmean(losses):.4f}\t{statistics.stdev(losses):.4f}" in "".join(
        lines
    )


@pytest.mark.parametrize(
    ("arguments", "wrong"),
    [
        (["--seeds", "2", "--folds", "3"], "--seeds and folds cannot be combined"),
        (["--folds", "2", "--find-label-errors", "3"], "are one number of folds"),
        (["--folds", "1"], "--folds is out of range"),
        (["--folds", "2", "--test", "t.tsv"], "--test cannot be combined"),
        (["--seeds", "2", "--resume"], "--resume cannot be combined"),
        (["--find-label-errors", "2", "--task", "regress"], "is for --task classify"),
        (["--seeds", "2", "--epochs", "x", "--fold", "2"], "did you mean --folds"),
    ],
)
def test_what_does_not_go_together(
    arguments: list[str], wrong: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train.main(arguments) == 2
    assert wrong in capsys.readouterr().err


def test_a_folder_of_something_else_is_refused(configured: TrainConfig, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="exists and is not empty"):
        repeat(replace(configured, output=str(tmp_path)), RepeatConfig(seeds=2))
