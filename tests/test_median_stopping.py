"""The median rule: who is compared with whom, and who is stopped."""

from __future__ import annotations

import pytest

from tuning.median_stopping import MIN_TRIALS, LearningCurve, median_if_worse


def curve(*best: float, epochs: int | None = None) -> LearningCurve:
    """A curve of these best figures, one an epoch."""
    return LearningCurve(epochs or len(best), dict(enumerate(best, start=1)))


# Their medians are exact: 0.6875, 0.75, 0.8125.
GOOD = [
    LearningCurve(3, {e: 0.4375 + 0.0625 * e + up for e in (1, 2, 3)})
    for up in (0, 0.125, 0.25, 0.375)
]


def test_at_is_the_last_finished_epoch_of_the_share() -> None:
    one = curve(0.1, 0.2, 0.3, 0.4)
    assert [one.at(share) for share in (0.2, 0.25, 0.49, 0.5, 0.75, 1.0)] == [
        None,
        0.1,
        0.1,
        0.2,
        0.3,
        0.4,
    ]


@pytest.mark.parametrize("epochs", range(1, 60))
def test_every_epoch_is_at_its_own_share(epochs: int) -> None:
    # 3 / 49 * 49 is less than 3 in floating point.
    one = LearningCurve(epochs, {epoch: float(epoch) for epoch in range(1, epochs + 1)})
    assert [one.at(epoch / epochs) for epoch in one.best] == list(one.best.values())
    # The same place in a training of seven times the length.
    assert [one.at(7 * epoch / (7 * epochs)) for epoch in one.best] == list(one.best.values())


def test_epochs_without_a_report_leave_the_figure_before() -> None:
    assert LearningCurve(4, {1: 0.1, 3: 0.3}).at(0.5) == 0.1
    assert LearningCurve(4, {3: 0.3}).at(0.5) is None


@pytest.mark.parametrize(("figure", "stops"), [(0.6865, True), (0.6875, False), (0.6885, False)])
def test_only_worse_than_the_median_is_stopped(figure: float, stops: bool) -> None:
    middle = median_if_worse(curve(figure, epochs=3), 1, GOOD, "max")
    assert middle == (0.6875 if stops else None)


@pytest.mark.parametrize(("figure", "stops"), [(0.6865, False), (0.6875, False), (0.6885, True)])
def test_a_loss_is_worse_when_it_is_higher(figure: float, stops: bool) -> None:
    middle = median_if_worse(curve(figure, epochs=3), 1, GOOD, "min")
    assert middle == (0.6875 if stops else None)


def test_a_median_of_few_trials_stops_nobody() -> None:
    poor = curve(0.0, 0.0, epochs=3)
    assert median_if_worse(poor, 1, GOOD[: MIN_TRIALS - 1], "max") is None
    assert median_if_worse(poor, 1, GOOD[:MIN_TRIALS], "max") is not None
    # One that has not finished an epoch by then says nothing.
    assert median_if_worse(poor, 1, [*GOOD[1:], LearningCurve(2, {1: 0.9})], "max") is None


def test_trials_that_were_stopped_count_with_the_best_that_they_came_to() -> None:
    stopped = [LearningCurve(3, {1: 0.1}), LearningCurve(3, {1: 0.2})]
    # Of 0.1, 0.2, 0.5625, 0.6875, 0.8125, 0.9375: without them it would be 0.75.
    poor = curve(0.0, 0.0, epochs=3)
    assert median_if_worse(poor, 2, [*GOOD, *stopped], "max") == 0.625


def test_the_last_epoch_is_never_stopped() -> None:
    assert median_if_worse(curve(0.0, 0.0, 0.0), 3, GOOD, "max") is None
    assert median_if_worse(curve(0.0), 1, GOOD, "max") is None


def test_the_first_epoch_of_a_long_training_is_compared_with_nobody() -> None:
    # After a tenth of its epochs, where trainings of three have not finished one.
    poor = curve(0.0, 0.0, 0.0, 0.0, epochs=10)
    assert [median_if_worse(poor, epoch, GOOD, "max") for epoch in (1, 2, 3)] == [None] * 3
    # Four of ten are more than one of three.
    assert median_if_worse(poor, 4, GOOD, "max") == 0.6875


def test_lengths_are_compared_at_the_same_share() -> None:
    long = [
        LearningCurve(6, {e: 0.1 * e + shift for e in range(1, 7)})
        for shift in (0, 0.01, 0.02, 0.03)
    ]
    # One of two epochs against three of six.
    assert median_if_worse(curve(0.3, epochs=2), 1, long, "max") == pytest.approx(0.315)
    assert median_if_worse(curve(0.32, epochs=2), 1, long, "max") is None


def test_no_others() -> None:
    assert median_if_worse(curve(0.0, epochs=2), 1, [], "max") is None
