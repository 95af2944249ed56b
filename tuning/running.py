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
from tfpipe.io.locks import training_lock
from tfpipe.training.environment import describe_environment
from tfpipe.training.preemption import SignalHandler
from tuning import chief
from tuning.config import SearchConfig
from tuning.oracles import oracle_of
from tuning.outcome import FAILED, RUNNING, Outcome
from tuning.report.board import write_study
from tuning.report.page import StudyReport, write_report
from tuning.report.progress import Progress
from tuning.report.table import Table
from tuning.report.verdict import describe_defaults, note_on_defaults, warn_of_baseline
from tuning.retrain import retrain
from tuning.slots import LOOK, in_threads, make_tuners, silence
from tuning.study import Study, repeated_error
from tuning.trial import Setting
from tuning.tuner import StudyTuner, begin_outcome, number_of

PAGE = 30.0  # seconds between two reports while trials run


def run_study(config: SearchConfig, study: Study, command: Sequence[str]) -> None:
    """Run all trials, and what follows them.

    Raises UserError where no trial could be finished, and Interrupted after SIGINT or SIGTERM.
    """
    if chief.is_chief():
        chief.check_port()
    goes_on = study.open()
    # This process computes nothing: a GPU's memory is the trials'.
    tf.config.set_visible_devices([], "GPU")
    with training_lock(study.folder):
        search = Search(config, study, command)
        if goes_on:
            say(search.recall())
        else:
            space = study.plan.space
            say(f"study: trial 1 has {describe_defaults(space.parameters, space.start())}")
        search.run()
        search.conclude()
        if config.retrain:
            retrain(study, config.retrain_on, search.restart)


class Search:
    """A search whose oracle is in this process."""

    def __init__(self, config: SearchConfig, study: Study, command: Sequence[str]):
        self.config, self.study, self.command = config, study, command
        plan = study.plan
        self.oracle = oracle_of(plan, config.trials)
        self.oracle.stops_poor = plan.algorithm != "hyperband" and config.stop_poor != "none"
        self.oracle.on_new = lambda trial: study.write_outcome(begin_outcome(study, trial))
        self.oracle.halted = lambda: self.repeated is not None
        self.halting = threading.Event()
        if chief.is_chief():
            self.oracle.lease = config.lease
            self.tuners = [StudyTuner(self.oracle, study, "chief", Setting({}), self.halting)]
        else:
            self.tuners = make_tuners(config, self.oracle, study, self.halting)
        self._ended_before = 0
        self._seen: list[Outcome] | None = None
        self._page_due = time.monotonic() + PAGE

    @property
    def restart(self) -> str:
        """The command that goes on."""
        return shlex.join(self.command)

    @property
    def repeated(self) -> Outcome | None:
        """The error that trials of this start failed with too often in a row."""
        ended = self.oracle.end_order[self._ended_before :]
        outcomes = [self.study.read_outcome(number_of(trial_id)) for trial_id in ended]
        return repeated_error([one for one in outcomes if one], self.config.same_errors)

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
            for outcome in map(self.study.read_outcome, map(number_of, failed)):
                if outcome is not None:
                    again = replace(outcome, status=RUNNING, reason=None, scores=[], log=[])
                    self.study.write_outcome(again)
            oracle.queue_again(failed)
        self._ended_before = len(oracle.end_order)
        words = f"study: going on: {len(oracle.end_order)} of {self.config.trials} trials ended"
        return f"{words}, {len(oracle.waiting) + len(oracle.ongoing_trials)} to go on"

    def run(self) -> None:
        """Run trials until there are no more; raises what stopped the search before."""
        write_study(self.study.folder, self.study.plan.space.parameters, self.study.plan.objective)
        with ExitStack() as stack:
            table = stack.enter_context(Table())
            stack.enter_context(silence())
            stop = stack.enter_context(SignalHandler())
            working = stack.enter_context(in_threads(self.tuners, self.halting))
            while working() and not (chief.is_chief() and self.oracle.over):
                if stop.signal:
                    self.halting.set()
                if chief.is_chief() and (stop.signal or self._is_deserted()):
                    break
                self._look(table)
                time.sleep(LOOK)
            self._look(table)
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

    def _look(self, table: Table) -> None:
        outcomes = show(table, self.config, self.study, self.oracle.seconds)
        # Not their number: a failed trial that is tried again may end between two looks.
        ended = [outcome for outcome in outcomes if outcome.ended]
        if ended != self._seen:
            self._seen = ended
            self.study.write_trials(outcomes)
            self._write_best()
            self.study.tidy({number_of(name) for name in self.oracle.resumable()})
        if time.monotonic() > self._page_due:
            self.write_page()

    def _write_best(self) -> None:
        if self.study.best:
            text = self.study.best_configuration(self.study.best)
            write_text(self.study.folder / "best.yaml", text)

    def conclude(self) -> None:
        """Leave the report; raises UserError where there is no best trial, or errors came again."""
        self.write_page()
        repeated, outcomes = self.repeated, self.study.outcomes()
        if repeated is not None:
            lines = "".join(f"\n    {line}" for line in repeated.log)
            raise UserError(
                f"{self.config.same_errors} trials in a row failed with the same error",
                f"trial {repeated.number}: {repeated.reason}{lines}",
                "mend it, and start the same command with --retry-failed",
            )
        if self.study.best is None:
            reasons = Counter(one.reason for one in outcomes if one.status == FAILED)
            told = "; ".join(f"{count} x {reason}" for reason, count in reasons.most_common(3))
            raise UserError(
                "no trial has a score",
                told or "no trial has run",
                "mend the cause, and start the same command with --retry-failed",
            )
        if self.oracle.exhausted and len(outcomes) < self.config.trials:
            say(f"study: the space has no more than these {len(outcomes)} configurations")
        plan = self.study.plan
        note = note_on_defaults(outcomes, plan.direction, plan.objective, plan.space.parameters)
        if note:
            say(f"study: note: {note}")
        warning = warn_of_baseline(outcomes, plan.direction, plan.objective, plan.baseline)
        if warning:
            say(f"study: warning: {warning}")

    def write_page(self) -> None:
        """Write report.html as things stand."""
        study, plan = self.study, self.study.plan
        best, outcomes = study.best, study.outcomes()
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
                outcomes=outcomes,
                planned=len(outcomes) if self.oracle.exhausted else self.config.trials,
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
        self._page_due = time.monotonic() + PAGE


def show(table: Table, config: SearchConfig, study: Study, seconds: float) -> list[Outcome]:
    """Show how the study stands after so many seconds; returns its trials."""
    outcomes, plan = study.outcomes(), study.plan
    known = (plan.direction, plan.objective, seconds, config.jobs, plan.baseline)
    table.show(Progress(outcomes, config.trials, *known))
    return outcomes
