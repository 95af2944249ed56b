"""The search at work, here alone or as the chief of other machines."""

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
from tfpipe.io.locks import held_alone
from tfpipe.training.environment import describe_environment
from tfpipe.training.preemption import StopRequest
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
from tuning.trial_slots import POLL_SECONDS, make_tuners, run_in_threads, silence
from tuning.tuner import StudyTuner, begin_result, trial_number

REPORT_SECONDS = 30.0  # seconds between two reports while trials run


def run_study(config: SearchConfig, study: Study, command: Sequence[str]) -> None:
    """Run all trials, and what follows them.

    Raises UserError where no trial could be finished, and Interrupted after SIGINT or SIGTERM.
    """
    if chief.is_chief():
        chief.check_port()
    goes_on = study.open()
    # This process computes nothing: a GPU's memory is the trials'.
    tf.config.set_visible_devices([], "GPU")
    with held_alone(study.folder):
        search = StudyRunner(config, study, command)
        if goes_on:
            say(search.recall())
        else:
            space = study.plan.space
            say(f"study: trial 1 has {describe_defaults(space.parameters, space.start())}")
        search.run()
        search.conclude()
        if config.retrain:
            retrain(study, config.retrain_on, search.restart)


class StudyRunner:
    """A search whose oracle is in this process."""

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
        self._seen: list[TrialResult] | None = None
        self._page_due = time.monotonic() + REPORT_SECONDS

    @property
    def restart(self) -> str:
        """The command that goes on."""
        return shlex.join(self.command)

    @property
    def repeated(self) -> TrialResult | None:
        """The error that trials of this start failed with too often in a row."""
        ended = self.oracle.end_order[self._ended_before :]
        results = [self.study.read_result(trial_number(trial_id)) for trial_id in ended]
        return repeated_error([one for one in results if one], self.config.same_errors)

    def recall(self) -> str:
        """Take up the state that the study was left in; says where it stands."""
        oracle = self.oracle
        # A killed search may have left one; nobody else writes here.
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
        return f"{words}, {len(oracle.waiting) + len(oracle.ongoing_trials)} to go on"

    def run(self) -> None:
        """Run trials until there are no more; raises what stopped the search before."""
        write_study(self.study.folder, self.study.plan.space.parameters, self.study.plan.objective)
        with ExitStack() as stack:
            table = stack.enter_context(TrialTable())
            stack.enter_context(silence())
            stop = stack.enter_context(StopRequest())
            working = stack.enter_context(run_in_threads(self.tuners, self.stop_requested))
            while working() and not (chief.is_chief() and self.oracle.over):
                if stop.signal:
                    self.stop_requested.set()
                if chief.is_chief() and (stop.signal or self._is_deserted()):
                    break
                self._poll(table)
                time.sleep(POLL_SECONDS)
            self._poll(table)
        if stop.signal:
            self.write_page()
            raise Interrupted(
                128 + stop.signal, f"stopped, everything saved; go on with:\n  {self.restart}"
            )
        if self.oracle.trouble:
            raise self.oracle.trouble
        if chief.is_chief() and self._is_deserted() and not self.oracle.over:
            raise UserError(
                "no worker has come",
                f"none for {self.config.patience} s (--patience)",
                "start workers with the same command, another KERASTUNER_TUNER_ID; all is saved",
            )

    def _is_deserted(self) -> bool:
        return self.oracle.silence > self.config.patience

    def _poll(self, table: TrialTable) -> None:
        results = update_table(table, self.config, self.study, self.oracle.seconds)
        # Not their number: a failed trial that is tried again may end between two looks.
        ended = [result for result in results if result.ended]
        if ended != self._seen:
            self._seen = ended
            self.study.write_trials(results)
            self._write_best()
            self.study.remove_unneeded_files(
                {trial_number(name) for name in self.oracle.resumable()}
            )
        if time.monotonic() > self._page_due:
            self.write_page()

    def _write_best(self) -> None:
        if self.study.best:
            text = self.study.best_configuration(self.study.best)
            write_text(self.study.folder / "best.yaml", text)

    def conclude(self) -> None:
        """Leave the report; raises UserError where there is no best trial, or errors came again."""
        self.write_page()
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
            told = "; ".join(f"{count} x {reason}" for reason, count in reasons.most_common(3))
            raise UserError(
                "no trial has a score",
                told or "no trial has run",
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

    def write_page(self) -> None:
        """Write report.html as things stand."""
        study, plan = self.study, self.study.plan
        best, results = study.best, study.results()
        folder = shlex.quote(str(study.folder))
        environment = describe_environment(tf.distribute.get_strategy())
        del environment["strategy"]  # this process's; a trial has its own
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
        self._page_due = time.monotonic() + REPORT_SECONDS


def update_table(
    table: TrialTable, config: SearchConfig, study: Study, seconds: float
) -> list[TrialResult]:
    """Show how the study stands after so many seconds; returns its trials."""
    results, plan = study.results(), study.plan
    known = (plan.direction, plan.objective, seconds, config.jobs, plan.baseline)
    table.show(StudyProgress(results, config.trials, *known))
    return results
