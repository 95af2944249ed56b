"""One trial: `tfpipe.train` in a process of its own, watched until it ends or is ended."""

from __future__ import annotations

import os
import shutil
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tfpipe.config import TrainConfig, to_yaml
from tfpipe.io.atomic import write_text
from tfpipe.run_folder import Run
from tfpipe.subprocesses import bound
from tfpipe.training.checkpointing import read_progress
from tuning.failure_reason import describe_failure, last_lines
from tuning.report.tensorboard_hparams import SUFFIX, write_trial
from tuning.study import Study
from tuning.trial_result import COMPLETED, FAILED, STOPPED, TrialResult

POLL_SECONDS = 0.5  # seconds between two looks at a trial
SHUTDOWN_SECONDS = 60.0  # seconds that a trial has to save its state


class TrialInterrupted(Exception):
    """The search ends; the trial goes on where it stopped when the search does."""


@dataclass(frozen=True)
class TrialSettings:
    """How trials run: the slot's share of the machine, and what ends a trial.

    processes, servers: of tfpipe.launch; timeout: seconds, 0 for none.
    """

    environment: Mapping[str, str]
    processes: int = 1
    servers: int = 0
    timeout: int = 0


class TrialRunner:
    """A trial from its first process to its result.

    inherited: epochs of the trial that it goes on from; until: the epoch after which it stops with
    its state saved, None for its end. report: told of every epoch of the first seed (epoch, best
    figure so far, epochs in all); its answer, when not None, is the reason to stop. alive: called
    at every look.
    """

    def __init__(
        self,
        study: Study,
        result: TrialResult,
        config: TrainConfig,
        inherited: int,
        until: int | None,
        settings: TrialSettings,
        stop_requested: threading.Event,
        report: Callable[[int, float, int], str | None],
        alive: Callable[[], None],
    ):
        self.study, self.result, self.config = study, result, config
        self.inherited, self.until = inherited, until
        self.settings, self.stop_requested = settings, stop_requested
        self.report, self.alive = report, alive
        self.folder = study.trial_folder(result.number)
        self._figure = study.plan.figure
        self._spent, self._began = result.seconds, time.monotonic()
        self._reported = 0

    def run(self) -> TrialResult:
        """Train with every seed and write the result."""
        scores: list[float] = []
        for index, folder in enumerate(self.study.run_folders(self.result.number)):
            seeded = replace(self.config, seed=self.config.seed + index, output=str(folder))
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
        """One training to its end; what ended the whole trial, or None where all went well."""
        if not run.folder.exists() and self.result.continues is not None:
            parent = self.study.run_folders(self.result.continues)
            here = self.study.run_folders(self.result.number).index(run.folder)
            link_parent_run(parent[here], run.folder)
        if run.finished or (self.until is not None and _epochs_of(run) >= self.until):
            self._poll(run, first)
            return None
        process, log = self._start(config, run), self.folder / "log.txt"
        try:
            while process.poll() is None:
                time.sleep(POLL_SECONDS)
                self.alive()
                if self.stop_requested.is_set():
                    raise TrialInterrupted
                reason = self._poll(run, first)
                if reason is not None:
                    _end_process(process)
                    if not run.finished:
                        saved = self._epochs_in_all(run) - _epochs_of(run)
                        return {"status": STOPPED, "reason": reason, "epochs_saved": saved}
                taken = time.monotonic() - self._began
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
        if process.returncode != 0 and not run.finished:
            if self.stop_requested.is_set():
                # A terminal's Ctrl-C reaches the trial, too.
                raise TrialInterrupted
            told = describe_failure(process.returncode, log)
            return {"status": FAILED, "reason": told, "score": None, "log": last_lines(log)}
        return None

    def _start(self, config: TrainConfig, run: Run) -> subprocess.Popen:
        self.folder.mkdir(parents=True, exist_ok=True)
        # Flags, not fields of the file: a resumed run may have others than it began with.
        kept = self.study.plan.space.fixed.get("keep_checkpoints", 1)
        free = ["--keep-checkpoints", str(kept)]
        if self.until is not None:
            free += ["--stop-after", str(self.until)]
        if (run.folder / "config.yaml").is_file():
            free.append("--resume")
        file = self.folder / "config.yaml"
        write_text(file, to_yaml(config))
        training = ["--config", str(file), *free]
        command = [sys.executable, "-m", "tfpipe.train", *training]
        if self.settings.processes > 1 or self.settings.servers:
            counts = ["--workers", str(self.settings.processes), "--servers"]
            counts.append(str(self.settings.servers))
            command = [sys.executable, "-m", "tfpipe.launch", *counts, "--", *training]
        with (self.folder / "log.txt").open("a", encoding="utf-8") as log:
            log.write(f"$ {' '.join(command[1:])}\n")
            log.flush()
            process = subprocess.Popen(
                bound(command),
                env=os.environ | dict(self.settings.environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                # Ctrl-C comes to the search, which passes it on.
                start_new_session=True,
            )
        with suppress(OSError):
            # Where memory runs out the kernel is to end a trial, not the search.
            Path(f"/proc/{process.pid}/oom_score_adj").write_text("1000")
        return process

    def _poll(self, run: Run, first: bool) -> str | None:
        """Take note of the first seed's new epochs; the reason to stop, if there is one."""
        progress = read_progress(run.folder / "checkpoints") if first else None
        if progress is None or len(progress.history) == self._reported:
            return None
        history, total = progress.history, self._epochs_in_all(run)
        self._update_result(history=history, score=self._best_figure(history))
        write_trial(run.logs, self.result, self.study.plan.objective)
        reason = None
        # A resumed trial tells all of its epochs again: the last report before a kill may be lost.
        for epoch in range(self._reported + 1, len(history) + 1):
            reason = self.report(epoch, self._best_figure(history[:epoch]), total)
        self._reported = len(history)
        return reason

    def _best_figure(self, history: Sequence[Mapping[str, Any]]) -> float:
        best = [record for record in history if record["best"]][-1]
        return float(best[f"dev_{self._figure}"])

    def _score(self, run: Run) -> float:
        if run.finished:
            return float(Run(run.folder).metrics["dev"][self._figure])
        progress = read_progress(run.folder / "checkpoints")
        assert progress is not None
        return self._best_figure(progress.history)

    def _epochs_in_all(self, run: Run) -> int:
        # The run's own, because a default follows from the data.
        return self.config.epochs or Run(run.folder).config.epochs or 1

    @property
    def _seconds(self) -> float:
        return self._spent + time.monotonic() - self._began

    def _update_result(self, **news: Any) -> None:
        runs = map(Run, self.study.run_folders(self.result.number))
        epochs = sum(max(0, _epochs_of(run) - self.inherited) for run in runs)
        self.result = replace(self.result, **news, epochs=epochs, seconds=self._seconds)
        self.study.write_result(self.result)

    def _end(self, **news: Any) -> TrialResult:
        self._update_result(**news)
        for run in map(Run, self.study.run_folders(self.result.number)):
            write_trial(run.logs, self.result, self.study.plan.objective)
        return self.result


def link_parent_run(parent: Path, folder: Path) -> None:
    """Have `folder` go on from the parent's run: the same files, at no cost where links can be.

    Nothing in a run's folder is ever changed in place.
    """

    def link(source: str, target: str) -> None:
        try:
            os.link(source, target)
        except OSError:
            shutil.copy2(source, target)

    aside = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(aside, ignore_errors=True)
    # A file being appended to, and what tells TensorBoard of the parent, are not its child's.
    ignored = shutil.ignore_patterns("*.tmp", ".lock", f"*{SUFFIX}")
    shutil.copytree(parent, aside, copy_function=link, ignore=ignored)
    aside.rename(folder)


def _epochs_of(run: Run) -> int:
    progress = read_progress(run.folder / "checkpoints")
    return len(progress.history) if progress else 0


def _end_process(process: subprocess.Popen) -> None:
    """Have the training save its state and end; kill it when it does not in time."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(SHUTDOWN_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _is_finite(value: float) -> bool:
    return value == value and abs(value) != float("inf")
