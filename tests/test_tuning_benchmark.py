"""benchmarks/tuning.py: budgets are equal, the problem behaves, and both algorithms pay."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from benchmarks.tuning import PEAK, SPACE, Problem, compare, search


def test_the_peak_is_the_best_there_is() -> None:
    for seed in range(5):
        problem, rng = Problem(seed), random.Random(seed)
        assert all(problem.quality(SPACE.sample(rng)) < PEAK for _ in range(200))
        best = {
            "learning_rate": problem.rate * (problem.batch / 32) ** 0.5,
            "batch_size": problem.batch,
            "warmup": problem.warmup,
            "weight_decay": problem.decay,
        }
        assert problem.quality(best) == pytest.approx(PEAK)
        # The best figure of more epochs is no worse, and comes out the same again.
        scores = [problem.score(best, until, 9) for until in range(1, 10)]
        assert all(later >= earlier for earlier, later in pairwise(scores))
        assert scores == [problem.score(best, until, 9) for until in range(1, 10)]


def test_a_promoted_trial_pays_for_its_own_epochs_alone() -> None:
    # Nine of one, three of two more, one of six more.
    assert search("hyperband", 0, 13, 9).epochs == 9 + 3 * 2 + 6
    assert search("random", 0, 4, 9).epochs == 36


def test_random_search_has_no_less_than_hyperband() -> None:
    ours, others = compare(0, "hyperband", 13, 9)
    assert 0 <= others.epochs - ours.epochs < 9


@pytest.mark.slow
@pytest.mark.parametrize(
    ("algorithm", "trials", "epochs", "seeds"), [("bayesian", 20, 9, 6), ("hyperband", 70, 27, 20)]
)
def test_better_than_chance(algorithm: str, trials: int, epochs: int, seeds: int) -> None:
    pairs = [compare(seed, algorithm, trials, epochs) for seed in range(seeds)]
    wins = sum(ours.regret < others.regret for ours, others in pairs)
    losses = sum(ours.regret > others.regret for ours, others in pairs)
    assert wins > losses
    assert sum(ours.regret for ours, _ in pairs) < sum(others.regret for _, others in pairs)
