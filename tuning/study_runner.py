"""Execution of a search, on a single machine or as the chief of a distributed search."""

from __future__ import annotations

import shlex
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace

import tensorflow as tf

from tfpipe.cli import say
from tfpipe.errors import Interrupted, UserError
from tfpipe.io.atomic import ASIDE, remove_files, write_text
from tfpipe.io.locks import training_lock
from tfpipe.training.environment import describe_environment
from tfpipe.training.preemption import SignalHandler
from tuning import chief
from tuning.config import SearchConfig
from tuning.oracles import make_study_oracle
from tuning.report.baseline_comparison import baseline_warning, defaults_note, describe_defaults
from tuning.report.live_table import TrialTable
from tuning.report.page import StudyReport, write_report
from tuning.report.study_progress import StudyProgress
from tuning.report.tensorboard_hparams import write_study
from tuning.retrain import retrain
from tuning.study import Study, repeated_error
from tuning.trial import TrialSettings
from tuning.trial_result import FAILED, RUNNING, TrialResult
from tuning.trial_slots import POLL_SECONDS, discard_stdout, make_tuners, run_in_threads
from tuning.tuner import StudyTuner, begin_result, trial_number

REPORT_SECONDS = 30.0  # between two updates of report.html while trials run


def run_study(config: SearchConfig, study: Study, command: Sequence[str]) -> None:
    """Run all trials, write the report, and train the best configuration again if asked to.

    Args:
        config: Configuration of the search.
        study: The study, new or to be resumed.
        command: The command line of the search, for messages and the report.

    Raises:
        UserError: If no trial has a score, or trials failed repeatedly with the same error.
        Interrupted: After SIGINT or SIGTERM, with the state saved.
    """
    if chief.is_chief():
        chief.check_port()
    resumed = study.open()
    # Only the trials use the GPUs: TensorFlow in this process must not allocate their memory.
    tf.config.set_visible_devices([], "GPU")
    with training_lock(study.folder):
        runner = StudyRunner(config, study, command)
        if resumed:
            say(runner.resume())
        else:
            space = study.plan.space
            say(f"study: trial 1 has {describe_defaults(space.parameters, space.default_values())}")
        runner.run()
        runner.finish()
        if config.retrain:
            retrain(study, config.retrain_on, runner.restart)


class StudyRunner:
    """Runs a search whose oracle is in this process.

    Args:
        config: Configuration of the search.
        study: The study, whose folder exists.
        command: The command line of the search.
    """

    def __init__(self, config: SearchConfig, study: Study, command: Sequence[str]):
        self.config, self.study, self.command = config, study, command
        plan = study.plan
        self.oracle = make_study_oracle(plan, config.trials)
        self.oracle.stop_poor_trials = plan.algorithm != "hyperband" and config.stop_poor != "none"
        self.oracle.on_trial_created = lambda trial: study.write_result(begin_result(study, trial))
        self.oracle.should_stop = lambda: self.repeated is not None
        self.stop_requested = threading.Event()
        if chief.is_chief():
            self.oracle.lease = config.lease
            self.tuners = [
                StudyTuner(self.oracle, study, "chief", TrialSettings({}), self.stop_requested)
            ]
        else:
            self.tuners = make_tuners(config, self.oracle, study, self.stop_requested)
        self._ended_before = 0
        self._last_ended: list[TrialResult] | None = None
        self._report_due = time.monotonic() + REPORT_SECONDS

    @property
    def restart(self) -> str:
        """The command line that resumes the study."""
        return shlex.join(self.command)

    @property
    def repeated(self) -> TrialResult | None:
        """The last trial of repeated failures with one error since this start, else None."""
        ended = self.oracle.end_order[self._ended_before :]
        results = [self.study.read_result(trial_number(trial_id)) for trial_id in ended]
        return repeated_error([one for one in results if one], self.config.same_errors)

    def resume(self) -> str:
        """Load the state of an earlier start.

        Returns:
            A message with the number of ended trials.

        Raises:
            UserError: If the state cannot be read.
        """
        oracle = self.oracle
        # Temporary files of a killed search; no other process writes into this folder.
        remove_files(oracle.path.parent.glob(ASIDE))
        if not oracle.path.is_file():
            return "study: no trial had begun"
        try:
            oracle.reload()
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(
                "the study's state cannot be read",
                f"{oracle.path}: {error}",
                "give another --output",
            ) from None
        if self.config.retry_failed:
            failed = [name for name, one in oracle.trials.items() if one.status == "FAILED"]
            for result in map(self.study.read_result, map(trial_number, failed)):
                if result is not None:
                    again = replace(result, status=RUNNING, reason=None, scores=[], log=[])
                    self.study.write_result(again)
            oracle.requeue_trials(failed)
        self._ended_before = len(oracle.end_order)
        words = f"study: going on: {len(oracle.end_order)} of {self.config.trials} trials ended"
        return f"{words}, {len(oracle.queued_trials) + len(oracle.ongoing_trials)} to go on"

    def run(self) -> None:
        """Run trials until there are no more, showing the progress.

        Raises:
            UserError: If a distributed search has no workers.
            Interrupted: After SIGINT or SIGTERM, with the state saved.
            Exception: The failure of the oracle, if it ended the search.
        """
        write_study(self.study.folder, self.study.plan.space.parameters, self.study.plan.objective)
        with ExitStack() as stack:
            table = stack.enter_context(TrialTable())
            stack.enter_context(discard_stdout())
            stop = stack.enter_context(SignalHandler())
            working = stack.enter_context(run_in_threads(self.tuners, self.stop_requested))
            while working() and not (chief.is_chief() and self.oracle.finished):
                if stop.signal:
                    self.stop_requested.set()
                if chief.is_chief() and (stop.signal or self._has_no_workers()):
                    break
                self._poll(table)
                time.sleep(POLL_SECONDS)
            self._poll(table)
        if stop.signal:
            self.update_report()
            raise Interrupted(
                128 + stop.signal, f"stopped, everything saved; go on with:\n  {self.restart}"
            )
        if self.oracle.failure:
            raise self.oracle.failure
        if chief.is_chief() and self._has_no_workers() and not self.oracle.finished:
            raise UserError(
                "no worker has come",
                f"none for {self.config.patience} s (--patience)",
                "start workers with the same command, another KERASTUNER_TUNER_ID; all is saved",
            )

    def _has_no_workers(self) -> bool:
        return self.oracle.idle_seconds > self.config.patience

    def _poll(self, table: TrialTable) -> None:
        results = update_table(table, self.config, self.study, self.oracle.seconds)
        # Compared by value: a failed trial that is run again may end between two checks.
        ended = [result for result in results if result.ended]
        if ended != self._last_ended:
            self._last_ended = ended
            self.study.write_trials(results)
            self._write_best()
            self.study.remove_unneeded_files(
                {trial_number(name) for name in self.oracle.resumable()}
            )
        if time.monotonic() > self._report_due:
            self.update_report()

    def _write_best(self) -> None:
        if self.study.best:
            text = self.study.best_configuration(self.study.best)
            write_text(self.study.folder / "best.yaml", text)

    def finish(self) -> None:
        """Write the final report and notes on the best score.

        Raises:
            UserError: If no trial has a score, or trials failed repeatedly with the same error.
        """
        self.update_report()
        repeated, results = self.repeated, self.study.results()
        if repeated is not None:
            lines = "".join(f"\n    {line}" for line in repeated.log)
            raise UserError(
                f"{self.config.same_errors} trials in a row failed with the same error",
                f"trial {repeated.number}: {repeated.reason}{lines}",
                "mend it, and start the same command with --retry-failed",
            )
        if self.study.best is None:
            reasons = Counter(one.reason for one in results if one.status == FAILED)
            failures = "; ".join(f"{count} x {reason}" for reason, count in reasons.most_common(3))
            raise UserError(
                "no trial has a score",
                failures or "no trial has run",
                "mend the cause, and start the same command with --retry-failed",
            )
        if self.oracle.exhausted and len(results) < self.config.trials:
            say(f"study: the space has no more than these {len(results)} configurations")
        plan = self.study.plan
        note = defaults_note(results, plan.direction, plan.objective, plan.space.parameters)
        if note:
            say(f"study: note: {note}")
        warning = baseline_warning(results, plan.direction, plan.objective, plan.baseline)
        if warning:
            say(f"study: warning: {warning}")

    def update_report(self) -> None:
        """Write report.html with the current results."""
        study, plan = self.study, self.study.plan
        best, results = study.best, study.results()
        folder = shlex.quote(str(study.folder))
        environment = describe_environment(tf.distribute.get_strategy())
        del environment["strategy"]  # of this process, not of the trials
        write_report(
            study.folder / "report.html",
            StudyReport(
                title=study.folder.name,
                objective=plan.objective,
                direction=plan.direction,
                algorithm=plan.algorithm,
                results=results,
                planned=len(results) if self.oracle.exhausted else self.config.trials,
                parameters=plan.space.parameters,
                command=self.command,
                seconds=self.oracle.seconds,
                jobs=self.config.jobs,
                price=self.config.price,
                best_yaml=study.best_configuration(best) if best else "",
                environment=environment,
                next_commands=[
                    f"python -m tfpipe.train --config {folder}/best.yaml --output runs/NAME",
                    f"tensorboard --logdir {folder}",
                ],
                baseline=plan.baseline,
            ),
        )
        self._report_due = time.monotonic() + REPORT_SECONDS


def update_table(
    table: TrialTable, config: SearchConfig, study: Study, seconds: float
) -> list[TrialResult]:
    """Show the current results of a study.

    Args:
        table: The table to update.
        config: Configuration of the search.
        study: The study.
        seconds: Elapsed time of the search.

    Returns:
        The results of all trials.
    """
    results, plan = study.results(), study.plan
    settings = (plan.direction, plan.objective, seconds, config.jobs, plan.baseline)
    table.show(StudyProgress(results, config.trials, *settings))
    return results
