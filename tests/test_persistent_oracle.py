"""What every oracle of a study survives: kills, failures, full disks, threads, lost workers.

No trial is trained: scores are made up.
"""

from __future__ import annotations

import errno
import json
import math
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from keras_tuner.engine.trial import Trial

from tests import driven_oracles
from tests.driven_oracles import (
    OBJECTIVE,
    Killed,
    Make,
    check_whole,
    drive,
    elsewhere,
    everything,
    finish,
    score_of,
)
from tuning.oracles import ORACLES
from tuning.persistent_oracle import EPOCH_METRIC, TOTAL_EPOCHS

make = driven_oracles.make  # the fixture


# ---- cut off
@pytest.mark.parametrize("algorithm", ["random", "grid", "hyperband"])
def test_a_study_cut_off_after_any_save_goes_on(make: Make, algorithm: str) -> None:
    count, fails = 12, {2, 7}
    whole, states = make(algorithm, count), []
    save = whole.save

    def remember() -> None:
        save()
        states.append(whole.path.read_text(encoding="utf-8"))

    whole.save = remember  # type: ignore[method-assign]
    drive(whole, fails=fails)
    check_whole(whole, count)
    assert len(states) >= 2 * count
    for number, text in enumerate(states):
        folder = f"cut-{number}"
        make(algorithm, count, folder=folder).path.write_text(text, encoding="utf-8")
        before = json.loads(text)["trials"]
        over = {name for name, one in before.items() if one["status"] in ("COMPLETED", "FAILED")}
        again = make(algorithm, count, folder=folder)
        ended = drive(again, fails=fails)
        check_whole(again, count)
        # What had ended is not run again; what had begun is, with the values that it had.
        assert Counter(ended) == Counter(set(again.trials) - over)
        for name, one in before.items():
            assert everything(again.trials[name]) == one["hyperparameters"]["values"]
            if one["status"] == "COMPLETED":
                assert again.trials[name].score == one["score"]


@pytest.mark.parametrize("algorithm", sorted(ORACLES))
def test_a_study_killed_again_and_again_ends(make: Make, algorithm: str) -> None:
    count = 6 if algorithm == "bayesian" else 12
    rng, kills, begun = random.Random(3), 0, dict[str, dict[str, Any]]()
    while True:
        oracle, left = make(algorithm, count), rng.randint(1, 6)
        save = oracle.save

        def save_and_die(save: Callable[[], None] = save) -> None:
            nonlocal left
            save()
            left -= 1
            if not left:
                raise Killed

        oracle.save = save_and_die  # type: ignore[method-assign]
        try:
            for name, trial in oracle.trials.items():
                assert begun.setdefault(name, everything(trial)) == everything(trial)
            drive(oracle)
        except Killed:
            kills += 1
        else:
            break
    assert kills >= count / 2
    check_whole(oracle, count)


@pytest.mark.parametrize("algorithm", sorted(ORACLES))
def test_a_study_takes_more_trials_later(make: Make, algorithm: str) -> None:
    first = make(algorithm, 4)
    drive(first)
    assert first.finished
    # Numbers of 2 digits now.
    more = make(algorithm, 10 if algorithm != "bayesian" else 5)
    more.max_trials = 10 if algorithm != "bayesian" else 5
    assert not more.finished
    drive(more)
    check_whole(more, more.max_trials)
    assert list(more.trials)[:4] == list(first.trials)
    # Fewer than there are: nothing is begun, nothing lost.
    fewer = make(algorithm, 2)
    assert fewer.create_trial("a").status == "STOPPED"
    assert len(fewer.trials) == more.max_trials


def test_a_start_that_takes_over_running_trials_while_their_lease_holds(make: Make) -> None:
    chief = make("random", 4)
    one, other = chief.create_trial("a"), chief.create_trial("b")
    finish(chief, other, 0.5)
    again = make("random", 4)
    again.lease = 60
    again.reload()
    assert not again.queued_trials
    assert again.create_trial("c").trial_id not in (one.trial_id, other.trial_id)
    # The worker that still has it, and one that was started again under its name.
    assert again.create_trial("a").trial_id == one.trial_id
    finish(again, one, 0.5)
    assert again.end_order == [other.trial_id, one.trial_id]


@pytest.mark.parametrize("algorithm", sorted(ORACLES))
def test_the_same_seed_is_the_same_study(make: Make, algorithm: str) -> None:
    first, same, other = (
        make(algorithm, 4, folder=name, seed=seed) for name, seed in (("x", 0), ("y", 0), ("z", 1))
    )
    for oracle in (first, same, other):
        drive(oracle, ["a"])
    begun = [[everything(one) for one in each.trials.values()] for each in (first, same, other)]
    assert begun[0] == begun[1]
    assert algorithm == "grid" or begun[0] != begun[2]


# ---- failed
def test_a_failed_trial_has_no_score_and_is_tried_again_on_request(make: Make) -> None:
    oracle = make("random", 3)
    drive(oracle, fails={0, 2})
    assert [one.status for one in oracle.trials.values()] == ["FAILED", "COMPLETED", "FAILED"]
    assert all(math.isnan(oracle.trials[name].score) for name in ("0", "2"))
    assert [one.trial_id for one in oracle.get_best_trials(1)] == ["1"]
    again = make("random", 3)
    assert again.create_trial("a").status == "STOPPED"
    again.requeue_trials(["0", "2"])
    assert sorted(again.queued_trials) == ["0", "2"]
    assert not again.finished
    trial = again.create_trial("a")
    finish(again, trial, 0.7)
    # The command with --retry-failed, killed and started again.
    last = make("random", 3)
    assert last.queued_trials == [({"0", "2"} - {trial.trial_id}).pop()]
    last.requeue_trials([name for name, one in last.trials.items() if one.status == "FAILED"])
    assert len(drive(last)) == 1
    check_whole(last, 3)
    assert [one.status for one in last.trials.values()] == ["COMPLETED"] * 3
    assert last.trials[trial.trial_id].score == 0.7


def test_bayesian_goes_on_past_failures(make: Make) -> None:
    oracle = make("bayesian", 6)
    drive(oracle, fails={0, 1, 4})
    check_whole(oracle, 6)


# ---- the lock
@pytest.mark.parametrize("at", ["create", "update", "end"])
def test_a_save_that_fails_stops_the_search_and_hangs_nobody(
    make: Make, at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    oracle = make("random", 9)
    trial = oracle.create_trial("a")

    def full(path: Path, text: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tuning.persistent_oracle.write_text", full)
    if at == "create":
        elsewhere(lambda: oracle.create_trial("b"), "b")
    elif at == "update":
        elsewhere(
            lambda: oracle.update_trial(trial.trial_id, {EPOCH_METRIC: 0.5, TOTAL_EPOCHS: 3.0}, 1)
        )
    else:
        elsewhere(lambda: finish(oracle, trial, 0.5))
    assert "No space left on device" in str(oracle.failure)
    assert elsewhere(lambda: oracle.create_trial("c"), "c").status == "STOPPED"
    # A trial that still runs may end.
    elsewhere(lambda: finish(oracle, trial, 0.5), "d")
    monkeypatch.undo()
    # The state before is whole.
    again = make("random", 9)
    assert again.failure is None
    drive(again)
    check_whole(again, 9)


def test_a_file_that_cannot_be_replaced(make: Make) -> None:
    oracle = make("grid", 9)
    oracle.path.mkdir()
    oracle.create_trial("a")
    assert str(oracle.path) in str(oracle.failure)
    assert elsewhere(lambda: oracle.create_trial("b")).status == "STOPPED"


@pytest.mark.parametrize("what", ["on_trial_created", "should_stop", "populate_space"])
def test_what_goes_wrong_in_the_lock_is_kept(make: Make, what: str) -> None:
    oracle = make("random", 9)

    def broken(*_: Any) -> Any:
        raise OSError(errno.EIO, "Input/output error")

    setattr(oracle, what, broken)
    assert oracle.create_trial("a").status == "STOPPED"
    assert isinstance(oracle.failure, OSError)
    assert elsewhere(lambda: oracle.create_trial("b")).status == "STOPPED"
    assert elsewhere(oracle.resumable) == set()


def test_a_trial_that_nobody_knows_hangs_nobody(make: Make) -> None:
    oracle = make("random", 9)
    known = oracle.create_trial("a")
    stranger = Trial(oracle.get_space(), trial_id="77", status="COMPLETED")
    assert oracle.update_trial("77", {EPOCH_METRIC: 0.5, TOTAL_EPOCHS: 3.0}, 1).status == "STOPPED"
    oracle.end_trial(stranger)
    assert elsewhere(lambda: finish(oracle, known, 0.5))
    assert oracle.end_order == [known.trial_id]
    assert oracle.failure is None


@pytest.mark.parametrize("algorithm", ["random", "grid", "hyperband"])
def test_a_trial_counts_as_ended_only_with_its_score(make: Make, algorithm: str) -> None:
    oracle = make(algorithm, 6)
    trial = oracle.create_trial("a")
    oracle.update_trial(trial.trial_id, {OBJECTIVE: 0.5})
    # As Keras Tuner's tuner does a moment before it ends the trial; another thread saves here.
    trial.status = "COMPLETED"
    finish(oracle, oracle.create_trial("b"), 0.4)
    again = make(algorithm, 6)
    assert again.queued_trials == [trial.trial_id]
    oracle.end_trial(trial)
    assert oracle.trials[trial.trial_id].score == 0.5
    drive(again)
    check_whole(again, 6)


def test_halted_stops(make: Make) -> None:
    oracle = make("random", 9)
    trial = oracle.create_trial("a")
    oracle.should_stop = lambda: True
    assert oracle.create_trial("b").status == "STOPPED"
    finish(oracle, trial, 0.5)
    assert oracle.create_trial("a").status == "STOPPED"
    assert len(oracle.trials) == 1
    assert not oracle.exhausted


def test_whoever_asks_while_the_last_trial_runs_waits(make: Make) -> None:
    oracle = make("random", 1)
    trial = oracle.create_trial("one")
    asked = [elsewhere(partial(oracle.create_trial, name), name) for name in ("two", "three")]
    assert [answer.status for answer in asked] == ["IDLE", "IDLE"]
    assert not oracle.finished
    finish(oracle, trial, 0.5)
    # They are still to be reported.
    assert not oracle.finished
    for name in ("one", "two", "three"):
        assert elsewhere(partial(oracle.create_trial, name), name).status == "STOPPED"
    assert oracle.finished


@pytest.mark.parametrize("algorithm", ["random", "grid", "hyperband"])
def test_threads_share_a_study(make: Make, algorithm: str) -> None:
    oracle = make(algorithm, 20, epochs=9)
    ended: list[str] = []

    def work(name: str) -> None:
        while (trial := oracle.create_trial(name)).status != "STOPPED":
            if trial.status == "RUNNING":
                oracle.update_trial(trial.trial_id, {EPOCH_METRIC: 0.5, TOTAL_EPOCHS: 3.0}, 1)
                finish(oracle, trial, score_of(trial))
                ended.append(trial.trial_id)
            else:
                time.sleep(0.001)

    threads = [threading.Thread(target=work, args=[f"t{i}"], name=f"t{i}") for i in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert oracle.idle_seconds < 20
        assert oracle.finished in (True, False)
        oracle.resumable()
    assert oracle.failure is None
    assert oracle.finished
    assert len(ended) == len(set(ended))
    check_whole(oracle, 20)
    check_whole(make(algorithm, 20, epochs=9), 20)


# ---- workers that are lost
def test_a_trial_without_a_sign_of_life_is_given_to_another(make: Make) -> None:
    oracle = make("random", 2)
    oracle.lease = 0.2
    lost, kept = oracle.create_trial("gone"), oracle.create_trial("here")
    for _ in range(4):
        time.sleep(0.1)
        oracle.get_trial(kept.trial_id)
    given = oracle.create_trial("new")
    assert given.trial_id == lost.trial_id
    assert everything(given) == everything(lost)
    # The lost worker ends it after all, and so does the new one.
    finish(oracle, lost, 0.5)
    finish(oracle, given, 0.9)
    finish(oracle, kept, 0.1)
    assert oracle.end_order == [lost.trial_id, kept.trial_id]
    assert oracle.trials[lost.trial_id].score == 0.5
    assert {oracle.create_trial(name).status for name in ("here", "new")} == {"STOPPED"}
    assert oracle.finished
    check_whole(make("random", 2), 2)


def test_a_lost_trial_that_ends_before_it_is_given_away(make: Make) -> None:
    oracle = make("random", 1)
    oracle.lease = 0.05
    lost = oracle.create_trial("gone")
    time.sleep(0.1)
    assert oracle.requeue_lost_trials() == [lost.trial_id]
    assert oracle.queued_trials == [lost.trial_id]
    finish(oracle, lost, 0.5)
    assert oracle.create_trial("new").status == "STOPPED"
    check_whole(oracle, 1)


def test_without_a_lease_nothing_is_given_away(make: Make) -> None:
    oracle = make("random", 1)
    assert oracle.lease is None
    oracle.create_trial("a")
    time.sleep(0.05)
    assert oracle.requeue_lost_trials() == []
    assert oracle.create_trial("b").status == "IDLE"


# ---- poor trials
@pytest.mark.parametrize(("direction", "poor"), [("max", 0.1), ("min", 0.9)])
def test_a_poor_trial_is_answered_stopped(make: Make, direction: str, poor: float) -> None:
    oracle = make("random", 9, direction=direction)
    oracle.stop_poor_trials = True
    for _ in range(4):
        trial = oracle.create_trial("a")
        for epoch in (1, 2):
            reported = oracle.update_trial(
                trial.trial_id, {EPOCH_METRIC: 0.5, TOTAL_EPOCHS: 2.0}, epoch
            )
            assert reported.status == "RUNNING"
        finish(oracle, trial, 0.5)
    # Over a restart.
    oracle = make("random", 9, direction=direction)
    trial = oracle.create_trial("a")
    assert (
        oracle.update_trial(trial.trial_id, {EPOCH_METRIC: poor, TOTAL_EPOCHS: 2.0}, 1).status
        == "RUNNING"
    )
    oracle.stop_poor_trials = True
    reported = oracle.update_trial(trial.trial_id, {EPOCH_METRIC: poor, TOTAL_EPOCHS: 2.0}, 1)
    assert (reported.status, reported.score) == ("STOPPED", 0.5)
    # The answer alone says so: the trial still is to be ended, with the score that it has.
    assert oracle.trials[trial.trial_id].status == "RUNNING"
    finish(oracle, trial, poor)
    assert oracle.trials[trial.trial_id].score == poor
    # As good as the others, and in its last epoch.
    trial = oracle.create_trial("a")
    assert (
        oracle.update_trial(trial.trial_id, {EPOCH_METRIC: 0.5, TOTAL_EPOCHS: 2.0}, 1).status
        == "RUNNING"
    )
    assert (
        oracle.update_trial(trial.trial_id, {EPOCH_METRIC: poor, TOTAL_EPOCHS: 2.0}, 2).status
        == "RUNNING"
    )
