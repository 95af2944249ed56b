"""Bayesian search and Hyperband against random search on the same budget, all in one run.

    python benchmarks/tuning.py [--seeds 20]

The objective costs nothing: a made-up dev accuracy that answers to learning rate, batch size,
warm-up and weight decay as BERT's fine-tuning does. Every seed is another problem, with its best
values elsewhere. Bayesian search gets as many trials as random search; random search gets as many
epochs as Hyperband, rounded up to a whole trial. Searches see noisy scores; the regret is what the
values that a search would choose lack to the best accuracy there is, without noise and trained to
the last epoch. Prints median regrets, their ratio, wins and the p value of a one-sided Wilcoxon
test on the pairs of a seed. Searches of a seed draw the same first values: hence the ties.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import statistics
import sys
import tempfile
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

# Before NumPy is imported: a seed a core, and matrices too small to share out.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).parents[1]))

import keras_tuner
from scipy import stats

from tuning.library_internals import set_project_folder
from tuning.oracles import make_oracle
from tuning.space import Parameter, Space

OBJECTIVE = "dev.accuracy"
PEAK, CHANCE = 0.9, 0.4  # accuracy of the best values, and of an untrained model
NOISE = 0.003  # standard deviation of an epoch's dev accuracy
# Algorithm, trials, and epochs at most; Hyperband's are two sweeps of its brackets, and one.
SEARCHES = (("bayesian", 20, 9), ("hyperband", 46, 9), ("hyperband", 70, 27))
SPACE = Space(
    (
        Parameter("learning_rate", "float", low=1e-5, high=5e-4, log=True),
        Parameter("batch_size", "choice", values=(8, 16, 32, 64)),
        Parameter("warmup", "float", low=0.0, high=0.3),
        Parameter("weight_decay", "float", low=0.0, high=0.2),
    ),
    fixed={},
)
Values = Mapping[str, float]


class Problem:
    """A simulated text classification task whose best settings depend on the seed."""

    def __init__(self, seed: int):
        rng = random.Random(f"problem {seed}")
        self.seed = seed
        self.rate = math.exp(rng.uniform(math.log(3e-5), math.log(2e-4)))  # at a batch of 32
        self.batch = rng.choice((16, 32))
        self.warmup = rng.uniform(0.05, 0.2)
        self.decay = rng.uniform(0.02, 0.15)

    def quality(self, values: Values) -> float:
        """Accuracy after all epochs, without noise; at most PEAK."""
        batch, warmup = values["batch_size"], values["warmup"]
        # For a batch of twice the size the best rate is sqrt(2) times as high.
        best = self.rate * math.sqrt(batch / 32)
        decades = math.log10(values["learning_rate"] / best)
        # Training diverges beyond some rate, which is higher the longer the warm-up.
        beyond = max(0.0, decades - 0.2 - warmup)
        loss = (
            0.2 * decades**2
            + 2.0 * beyond**2
            + 0.005 * math.log2(batch / self.batch) ** 2
            + 1.0 * (warmup - self.warmup) ** 2
            + 2.0 * (values["weight_decay"] - self.decay) ** 2
        )
        width = PEAK - CHANCE
        return PEAK - width * math.tanh(loss / width)

    def score(self, values: Values, until: int, epochs: int) -> float:
        """The best dev accuracy up to one of all epochs, with noise that the values fix."""
        rng = random.Random(f"{self.seed} {sorted(values.items())}")
        final = self.quality(values)
        # Low rates, and fewer steps, learn more slowly; how much differs from training to training.
        decades = math.log10(values["learning_rate"] / self.rate * 32 / values["batch_size"])
        speed = max(1.0, 4.0 + 1.5 * decades + rng.gauss(0.0, 0.5))
        learned = [-math.expm1(-3 * speed * epoch / epochs) for epoch in range(1, until + 1)]
        width = (final - CHANCE) / -math.expm1(-3 * speed)
        return max(CHANCE + width * part + rng.gauss(0.0, NOISE) for part in learned)


@dataclass(frozen=True)
class Found:
    """The result of a search: the regret of its choice, and the epochs that it trained."""

    regret: float
    epochs: int


def search(algorithm: str, seed: int, trials: int, epochs: int) -> Found:
    """Run a search of so many trials, of so many epochs at most, on a seed's problem."""
    problem = Problem(seed)
    objective = keras_tuner.Objective(OBJECTIVE, "max")
    oracle = make_oracle(algorithm, SPACE, trials, objective, epochs, seed)
    names = [parameter.name for parameter in SPACE.parameters]
    trained = 0
    with tempfile.TemporaryDirectory() as folder:
        set_project_folder(oracle, folder, "oracle")
        while (trial := oracle.create_trial("one")).status == "RUNNING":
            proposed = trial.hyperparameters.values
            values = {name: proposed[name] for name in names}
            until = proposed.get("tuner/epochs", epochs)
            trained += until - proposed.get("tuner/initial_epoch", 0)
            score = problem.score(values, until, epochs)
            oracle.update_trial(trial.trial_id, {OBJECTIVE: score})
            trial.status = "COMPLETED"
            oracle.end_trial(trial)
    if oracle.failure:
        raise oracle.failure
    chosen = oracle.get_best_trials(1)[0].hyperparameters.values
    return Found(PEAK - problem.quality(chosen), trained)


def compare(seed: int, algorithm: str, trials: int, epochs: int) -> tuple[Found, Found]:
    """Run an algorithm and random search on one problem with the same budget."""
    found = search(algorithm, seed, trials, epochs)
    return found, search("random", seed, math.ceil(found.epochs / epochs), epochs)


def rank_after_one(seed: int, epochs: int) -> float:
    """Compute Spearman's correlation of the scores after the first and the last epoch."""
    problem, rng = Problem(seed), random.Random(seed)
    drawn = [SPACE.sample(rng) for _ in range(200)]
    first, last = (
        [problem.score(values, until, epochs) for values in drawn] for until in (1, epochs)
    )
    return float(stats.spearmanr(first, last).statistic)


def report(pairs: list[tuple[Found, Found]]) -> None:
    """Print the comparison of an algorithm with random search."""
    ours, others = ([pair[side].regret for pair in pairs] for side in (0, 1))
    mine, randoms = statistics.median(ours), statistics.median(others)
    wins = sum(our < other for our, other in zip(ours, others, strict=True))
    ties = sum(our == other for our, other in zip(ours, others, strict=True))
    p_value = float(stats.wilcoxon(ours, others, alternative="less").pvalue)
    budgets = "{:,} epochs, random search {:,}".format(*(found.epochs for found in pairs[0]))
    print(f"  budget: {budgets}")
    print(f"  median regret: {mine:.4f}, random search {randoms:.4f}: {randoms / mine:.2f} x")
    print(f"  {wins} wins, {ties} ties, {len(pairs) - wins - ties} losses; p = {p_value:.2g}")


def main() -> None:
    """Parse the arguments, search, and print the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=20, help="problems")
    parser.add_argument("--processes", type=int, default=2, help="seeds at a time")
    parser.add_argument("--only", choices=sorted({name for name, *_ in SEARCHES}))
    arguments = parser.parse_args()
    seeds = range(arguments.seeds)
    # TensorFlow has threads, which are not copied by a fork.
    with ProcessPoolExecutor(arguments.processes, get_context("spawn")) as pool:
        for algorithm, trials, epochs in SEARCHES:
            if arguments.only not in (None, algorithm):
                continue
            print(f"{algorithm}, {trials} trials of up to {epochs} epochs, {len(seeds)} problems")
            if algorithm == "hyperband":
                rank = statistics.median(rank_after_one(seed, epochs) for seed in seeds)
                print(f"  rank correlation of the first epoch with the last: {rank:.2f}")
            run = partial(compare, algorithm=algorithm, trials=trials, epochs=epochs)
            report(list(pool.map(run, seeds)))


if __name__ == "__main__":
    main()
