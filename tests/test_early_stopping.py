"""Early stopping: which epoch is kept, when training stops, and where the run says so."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.pages import Page
from tests.support.runs import tiny_config, tiny_run
from tfpipe import train
from tfpipe.cli import Interrupted
from tfpipe.config import is_better_epoch
from tfpipe.report.page import Report, render_page
from tfpipe.report.sections import MeasuredMetrics
from tfpipe.run_folder import Run
from tfpipe.tasks import TASKS
from tfpipe.training.checkpointing import TrainProgress, read_progress
from tfpipe.training.ending import Ending
from tfpipe.training.trainer import Trainer

NAN = math.nan
# Of a run on 240 rows, 48 of them dev: accuracy ties and falls by a row, and the loss falls.
COARSE = [0.604, 0.646, 0.688, 0.688, 0.688, 0.667, 0.729, 0.771, 0.771, 0.792]
FALLING = [0.95, 0.90, 0.86, 0.82, 0.79, 0.76, 0.71, 0.66, 0.63, 0.61]


def progress_of(
    values: Sequence[float],
    losses: Sequence[float],
    figure: str = "accuracy",
    direction: str = "max",
    examples: int = 48,
) -> TrainProgress:
    """The progress of a run with these dev figures and losses, an epoch each."""
    progress = TrainProgress()
    for epoch, (value, loss) in enumerate(zip(values, losses, strict=True), start=1):
        found = {"dev_loss": loss, f"dev_{figure}": value, "dev_examples": examples}
        best = progress.best
        better = best is None or is_better_epoch(found, best, figure, direction)
        progress.close_epoch({"epoch": epoch, **found, "best": better})
    return progress


def kept(progress: TrainProgress) -> int:
    assert progress.best is not None
    return progress.best["epoch"]


def stop_of(progress: TrainProgress, patience: int) -> int | None:
    """The epoch after which the run stops."""
    for epoch in range(1, len(progress.history) + 1):
        if TrainProgress(history=progress.history[:epoch]).waited_enough(patience):
            return epoch
    return None


def test_a_tied_figure_is_decided_by_loss() -> None:
    assert kept(progress_of([0.6, 0.7, 0.7, 0.7], [0.9, 0.8, 0.7, 0.75])) == 3
    # Macro F1 of the same answers, whose sum was rounded otherwise.
    assert kept(progress_of([0.7, 0.7 - 1e-16], [0.8, 0.7], "macro_f1")) == 2
    # One row is better, whatever the loss.
    assert kept(progress_of([33 / 48, 34 / 48], [0.8, 0.9])) == 2


def test_a_lower_figure_and_a_lower_loss_are_better() -> None:
    assert kept(progress_of([0.5, 0.4, 0.4, 0.4], [0.3, 0.2, 0.1, 0.15], "mae", "min")) == 3
    assert kept(progress_of([0.3, 0.2, 0.25], [0.3, 0.2, 0.25], "loss", "min")) == 2


def test_undefined_figures_are_decided_by_loss() -> None:
    assert kept(progress_of([NAN, NAN, NAN], [0.9, 0.7, 0.8], "pearson")) == 2
    assert kept(progress_of([NAN, 0.1, NAN], [0.9, 0.95, 0.8], "pearson")) == 2
    assert kept(progress_of([0.5, 0.5, 0.5], [NAN, 0.7, NAN])) == 2


@pytest.mark.parametrize("patience", [1, 2, 3])
def test_a_coarse_figure_does_not_stop_a_falling_loss(patience: int) -> None:
    progress = progress_of(COARSE, FALLING)
    assert stop_of(progress, patience) is None and kept(progress) == 10
    assert kept(progress_of(COARSE[:6], FALLING[:6])) == 5
    # All tags are O for a while: F1 stands at 0.
    assert stop_of(progress_of([0.0] * 10, FALLING, "f1"), patience) is None


@pytest.mark.parametrize(("task", "figure"), [(t, f) for t in TASKS for f in TASKS[t].metrics])
def test_overfitting_stops(task: str, figure: str) -> None:
    losses = [0.9, 0.6, 0.5, 0.55, 0.6, 0.7, 0.8]
    direction = TASKS[task].metrics[figure]
    falling = [0.5, 0.6, 0.7, 0.7, 0.65, 0.65, 0.6]
    values = falling if direction == "max" else [1 - value for value in falling]
    values = losses if figure == "loss" else values
    progress = progress_of(values, losses, figure, direction)
    assert [stop_of(progress, patience) for patience in (0, 1, 2, 3)] == [None, 4, 5, 6]
    assert kept(progress) == 3


def test_a_better_figure_goes_on_while_the_loss_rises() -> None:
    progress = progress_of([0.5, 0.6, 0.6, 0.7, 0.7, 0.6], [0.5, 0.6, 0.7, 0.8, 0.9, 1.0])
    assert stop_of(progress, 2) == 6 and kept(progress) == 4


def test_a_lower_loss_begins_the_count_again() -> None:
    assert stop_of(progress_of([0.7] + [0.6] * 6, [0.5, 0.6, 0.6, 0.4, 0.5, 0.5, 0.5]), 3) == 7


def test_a_loss_counts_as_higher_where_dev_resolves_it() -> None:
    # Of 48 examples one of average loss is 2.1 % of the sum, of 1,000 it is 0.1 %.
    losses = [0.832, 0.834, 0.833, 0.835, 0.836]
    flat = [0.688] * 5
    assert stop_of(progress_of(flat, losses, examples=48), 1) is None
    assert stop_of(progress_of(flat, losses, examples=1000), 3) == 4
    assert stop_of(progress_of(losses, losses, "loss", "min", examples=48), 1) is None
    assert stop_of(progress_of(losses, losses, "loss", "min", examples=1000), 3) == 4


def test_losses_that_are_not_finite_stop() -> None:
    assert stop_of(progress_of([0.5] * 4, [NAN] * 4), 3) == 4
    assert stop_of(progress_of([0.5] * 4, [math.inf] * 4), 3) == 4
    assert stop_of(progress_of([0.5] * 5, [0.7, NAN, 0.6, NAN, math.inf]), 2) == 5


def test_states_of_before_go_on_by_the_rule() -> None:
    progress = progress_of(COARSE[:6], FALLING[:6])
    for record in progress.history[3:]:
        record["best"] = False
    assert kept(progress) == 3 and not progress.waited_enough(3)


def test_endings_are_told() -> None:
    history = [{"epoch": epoch, "best": epoch in (1, 5)} for epoch in range(1, 7)]
    assert str(Ending.of(history, 10)) == "stopped after epoch 6 of 10, best 5"
    assert str(Ending.of(history, 6)) == "ended after epoch 6 of 6, best 5"
    assert Ending.of(history, 10).early and not Ending.of(history, 6).early


@pytest.fixture()
def scripted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dev losses fall to the second epoch and rise from there; accuracy stands still."""
    losses, evaluate_dev = [0.9, 0.8, 0.9, 1.0, 1.1, 1.2], Trainer.evaluate

    def scripted_evaluate(trainer: Trainer, dev: object) -> object:
        loss = losses[len(trainer.checkpoints.progress.history)]
        return dataclasses.replace(evaluate_dev(trainer, dev), loss=loss)  # type: ignore[arg-type,type-var]

    monkeypatch.setattr(Trainer, "evaluate", scripted_evaluate)


SETTINGS: dict = {"learning_rate": 1e-9, "early_stopping": 2, "epochs": 6}
TOLD = "stopped after epoch 4 of 6, best 2"


@pytest.mark.usefixtures("scripted")
@pytest.mark.parametrize("before", [3, pytest.param(0, marks=pytest.mark.slow)])
def test_a_run_stops_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture, before: int
) -> None:
    """It does where an earlier start has trained some epochs, and where none has."""
    config = tiny_config(tmp_path, **SETTINGS)
    flags = [f"--train={config.train}", "--dev=0.2", "--model=tiny", "--batch-size=8"]
    flags += ["--max-length=16", "--learning-rate=1e-9", "--epochs=6", "--early-stopping=2"]
    if before:
        # One epoch of patience is used before the stop.
        with pytest.raises(Interrupted):
            tiny_run(tmp_path, **SETTINGS, stop_after=before)
        flags = ["--resume"]
    # Early stopping comes before a stop that was asked for.
    assert train.main([*flags, f"--output={config.output}", "--stop-after=4"]) == 0
    said = capsys.readouterr().err
    assert f"training: {TOLD}\n" in said and f"training {TOLD}\nreport: " in said
    run = Run(tmp_path / "run")
    training = run.metrics["train"]
    reported = {name: training[name] for name in ("epochs", "best_epoch", "stopped_early", "steps")}
    assert reported == {"epochs": 4, "best_epoch": 2, "stopped_early": True, "steps": 48}
    page = Page((run.folder / "report.html").read_text(encoding="utf-8"))
    assert f"Training {TOLD}: in the last epochs" in " ".join(page.text.split())
    card = (run.model / "README.md").read_text(encoding="utf-8")
    assert "4 of 6 epochs, stopped early, the weights of epoch 2; 48 steps" in card
    progress = read_progress(run.folder / "checkpoints")
    assert progress is not None
    assert [record["best"] for record in progress.history] == [True, True, False, False]
    # As a kill leaves it before the run's last file: nothing is trained any more.
    (run.folder / "metrics.json").unlink()
    again = tiny_run(tmp_path, **SETTINGS, resume=True).metrics["train"]
    assert {name: again[name] for name in reported} == reported
    assert read_progress(run.folder / "checkpoints") == progress


@pytest.mark.parametrize(
    ("language", "ending", "reported"),
    [
        ("en", Ending(6, 10, 5), f"Training {Ending(6, 10, 5)}: in the last epochs no metric"),
        ("zh", Ending(6, 10, 5), "训练在第 6 轮提前停止（计划 10 轮），保留第 5 轮："),
        ("en", Ending(10, 10, 9), "Training ended after epoch 10 of 10, best 9."),
        ("zh", Ending(10, 10, 9), "训练在第 10 轮结束（计划 10 轮），保留第 9 轮。"),
    ],
)
def test_the_report_says_how_training_ended(language: str, ending: Ending, reported: str) -> None:
    figures = MeasuredMetrics({"accuracy": 0.5, "examples": 7})
    history = progress_of(COARSE, FALLING).history
    report = Report("x", "classify", figures, language, history=history, ending=ending)
    assert reported in " ".join(Page(render_page(report)).text.split())
