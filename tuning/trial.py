"""A trial: tfpipe.train in subprocesses, one per seed, monitored until it ends or is stopped."""

from __future__ import annotations

import os
import shutil
import signal
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tfpipe import fork_server
from tfpipe.config import TrainConfig, to_yaml
from tfpipe.io.atomic import write_text
from tfpipe.run_folder import Run
from tfpipe.training.checkpointing import read_progress
from tuning.failure_reason import describe_failure, last_lines
from tuning.report.tensorboard_hparams import SUFFIX, write_trial
from tuning.study import Study
from tuning.trial_result import COMPLETED, FAILED, STOPPED, TrialResult

POLL_SECONDS = 0.5  # between two checks of a running trial
SHUTDOWN_SECONDS = 60.0  # for a trial to save its state after SIGTERM


class TrialInterrupted(Exception):
    """Raised when the search stops during a trial, which is resumed when the search is."""


@dataclass(frozen=True)
class TrialSettings:
    """How the processes of trials are started, and their time limit.

    Attributes:
        environment: Additional environment variables, such as a slot's share of the GPUs.
        processes: Worker processes of a trial, started by tfpipe.launch if more than one.
        servers: Parameter servers of a trial, started by tfpipe.launch.
        timeout: Seconds that a trial may take; 0 for no limit.
    """

    environment: Mapping[str, str]
    processes: int = 1
    servers: int = 0
    timeout: int = 0


@dataclass(frozen=True)
class TrialTask:
    """What a trial trains.

    Attributes:
        config: Training configuration of the first seed.
        inherited: Epochs trained by the trial that this one continues, else 0.
        until: Epoch after which training stops with its state saved; None to train to the end.
    """

    config: TrainConfig
    inherited: int = 0
    until: int | None = None


@dataclass(frozen=True)
class TrialCallbacks:
    """Connection of a running trial to the search.

    Attributes:
        stop_requested: Set to interrupt the trial.
        report: Called after each epoch of the first seed with the epoch, the best objective so
            far and the total number of epochs; returns the reason to stop the trial, or None.
        heartbeat: Called regularly while a process runs.
    """

    stop_requested: threading.Event
    report: Callable[[int, float, int], str | None]
    heartbeat: Callable[[], None]


class TrialRunner:
    """Runs a trial: trains once per seed, reports each epoch and writes the result.

    Args:
        study: The study, in whose folder the trial is kept.
        result: The result so far, of a trial that is running.
        task: What the trial trains.
        settings: How the processes are started.
        callbacks: Connection to the search.
    """

    def __init__(
        self,
        study: Study,
        result: TrialResult,
        task: TrialTask,
        settings: TrialSettings,
        callbacks: TrialCallbacks,
    ):
        self.study, self.result, self.task = study, result, task
        self.settings, self.callbacks = settings, callbacks
        self.folder = study.trial_folder(result.number)
        self._metric = study.plan.metric
        self._seconds_before, self._started_at = result.seconds, time.monotonic()
        self._reported = 0

    def run(self) -> TrialResult:
        """Train with every seed and write the result.

        Returns:
            The result, which is also written to the study's folder.

        Raises:
            TrialInterrupted: If the search stopped during the trial, whose state is saved.
        """
        scores: list[float] = []
        for index, folder in enumerate(self.study.run_folders(self.result.number)):
            seeded = replace(
                self.task.config, seed=self.task.config.seed + index, output=str(folder)
            )
            ended = self._train(seeded, Run(folder), first=index == 0)
            if ended is not None:
                return self._end(**ended)
            scores.append(self._score(Run(folder)))
            self._update_result(scores=scores, score=statistics.fmean(scores))
        if not all(map(_is_finite, scores)):
            return self._end(status=FAILED, score=None, reason=f"the score is {scores}")
        spread = statistics.stdev(scores) if len(scores) > 1 else None
        return self._end(status=COMPLETED, spread=spread)

    def _train(self, config: TrainConfig, run: Run, first: bool) -> dict[str, Any] | None:
        """Train with one seed; return the changes of the result if that ends the trial."""
        if not run.folder.exists() and self.result.continues is not None:
            parent = self.study.run_folders(self.result.continues)
            here = self.study.run_folders(self.result.number).index(run.folder)
            link_parent_run(parent[here], run.folder)
        if run.finished or (self.task.until is not None and _epochs_of(run) >= self.task.until):
            self._poll(run, first)
            return None
        process, log = self._start(config, run), self.folder / "log.txt"
        try:
            while process.poll() is None:
                time.sleep(POLL_SECONDS)
                self.callbacks.heartbeat()
                if self.callbacks.stop_requested.is_set():
                    raise TrialInterrupted
                reason = self._poll(run, first)
                if reason is not None:
                    _end_process(process)
                    if not run.finished:
                        saved = self._epochs_in_all(run) - _epochs_of(run)
                        return {"status": STOPPED, "reason": reason, "epochs_saved": saved}
                taken = time.monotonic() - self._started_at
                if self.settings.timeout and taken > self.settings.timeout and not run.finished:
                    _end_process(process)
                    limit = f"took longer than --trial-timeout {self.settings.timeout} s"
                    return {
                        "status": FAILED,
                        "reason": limit,
                        "score": None,
                        "log": last_lines(log),
                    }
        finally:
            _end_process(process)
        self._poll(run, first)
        status = process.wait()
        if status != 0 and not run.finished:
            if self.callbacks.stop_requested.is_set():
                # Ctrl-C in a terminal is also delivered to the trial.
                raise TrialInterrupted
            reason = describe_failure(status, log)
            return {"status": FAILED, "reason": reason, "score": None, "log": last_lines(log)}
        return None

    def _start(self, config: TrainConfig, run: Run) -> fork_server.Process:
        self.folder.mkdir(parents=True, exist_ok=True)
        # Flags, not fields of the file, because they may change when a run is resumed.
        kept = self.study.plan.space.fixed.get("keep_checkpoints", 1)
        free = ["--keep-checkpoints", str(kept)]
        if self.task.until is not None:
            free += ["--stop-after", str(self.task.until)]
        if (run.folder / "config.yaml").is_file():
            free.append("--resume")
        file = self.folder / "config.yaml"
        write_text(file, to_yaml(config))
        training = ["--config", str(file), *free]
        arguments = ["-m", "tfpipe.train", *training]
        modules: tuple[str, ...] = fork_server.TRAINING
        if self.settings.processes > 1 or self.settings.servers:
            counts = ["--workers", str(self.settings.processes), "--servers"]
            counts.append(str(self.settings.servers))
            # The launcher itself needs no TensorFlow.
            arguments = ["-m", "tfpipe.launch", *counts, "--", *training]
            modules = ()
        with (self.folder / "log.txt").open("a", encoding="utf-8") as log:
            log.write(f"$ {' '.join(arguments)}\n")
            log.flush()
            process = fork_server.start(
                arguments,
                modules,
                fork_server.Streams(stdout=subprocess.DEVNULL, stderr=log),
                self.settings.environment,
                # Only the search receives Ctrl-C, and ends the trial.
                new_session=True,
            )
        with suppress(OSError):
            # When memory runs out, the kernel kills a trial rather than the search.
            Path(f"/proc/{process.pid}/oom_score_adj").write_text("1000")
        return process

    def _poll(self, run: Run, first: bool) -> str | None:
        """Record and report new epochs of the first seed; return the reason to stop, or None."""
        progress = read_progress(run.folder / "checkpoints") if first else None
        if progress is None or len(progress.history) == self._reported:
            return None
        history, total = progress.history, self._epochs_in_all(run)
        self._update_result(history=history, score=self._best_score(history))
        write_trial(run.logs, self.result, self.study.plan.objective)
        reason = None
        # A resumed trial reports all epochs again: the last report before a kill may be lost.
        for epoch in range(self._reported + 1, len(history) + 1):
            reason = self.callbacks.report(epoch, self._best_score(history[:epoch]), total)
        self._reported = len(history)
        return reason

    def _best_score(self, history: Sequence[Mapping[str, Any]]) -> float:
        best = [record for record in history if record["best"]][-1]
        return float(best[f"dev_{self._metric}"])

    def _score(self, run: Run) -> float:
        if run.finished:
            return float(Run(run.folder).metrics["dev"][self._metric])
        progress = read_progress(run.folder / "checkpoints")
        assert progress is not None
        return self._best_score(progress.history)

    def _epochs_in_all(self, run: Run) -> int:
        # Read from the run, because the default depends on the size of the data.
        return self.task.config.epochs or Run(run.folder).config.epochs or 1

    @property
    def _seconds(self) -> float:
        return self._seconds_before + time.monotonic() - self._started_at

    def _update_result(self, **changes: Any) -> None:
        runs = map(Run, self.study.run_folders(self.result.number))
        epochs = sum(max(0, _epochs_of(run) - self.task.inherited) for run in runs)
        self.result = replace(self.result, **changes, epochs=epochs, seconds=self._seconds)
        self.study.write_result(self.result)

    def _end(self, **changes: Any) -> TrialResult:
        self._update_result(**changes)
        for run in map(Run, self.study.run_folders(self.result.number)):
            write_trial(run.logs, self.result, self.study.plan.objective)
        return self.result


def link_parent_run(parent: Path, folder: Path) -> None:
    """Copy the run of a parent trial, by hard links where possible.

    Links are safe because files of a run are replaced, never modified in place.

    Args:
        parent: Folder of the parent's run.
        folder: Folder of the new run, which does not exist yet.
    """

    def link(source: str, target: str) -> None:
        try:
            os.link(source, target)
        except OSError:
            shutil.copy2(source, target)

    aside = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(aside, ignore_errors=True)
    # Partial files, locks and the parent's HParams events do not belong to the new run.
    ignored = shutil.ignore_patterns("*.tmp", ".lock", f"*{SUFFIX}")
    shutil.copytree(parent, aside, copy_function=link, ignore=ignored)
    aside.rename(folder)


def _epochs_of(run: Run) -> int:
    progress = read_progress(run.folder / "checkpoints")
    return len(progress.history) if progress else 0


def _end_process(process: fork_server.Process) -> None:
    """End the training with SIGTERM, on which it saves its state; kill it after a time limit."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(SHUTDOWN_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _is_finite(value: float) -> bool:
    return value == value and abs(value) != float("inf")
