"""Overlap of evaluation texts with a model's training data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tfpipe.data.dev_split import example_keys, split_off_dev
from tfpipe.data.examples import Columns, Examples
from tfpipe.data.hashing import hash_texts
from tfpipe.data.rare_labels import fit_train
from tfpipe.data.splits import is_share, read_labelled
from tfpipe.errors import UserError
from tfpipe.run_folder import Run
from tfpipe.tasks import TASKS


@dataclass(frozen=True)
class TrainOverlap:
    """Overlap of N texts with a model's training data.

    Attributes:
        trained_on: Number of them, after normalising, that it was trained on; None where unknown.
        chosen_on: Whether its best epoch was chosen on them.
        why: The reason where `trained_on` is unknown.
    """

    trained_on: int | None
    chosen_on: bool = False
    why: str = ""

    def sentences(self, name: str, texts: int) -> Iterator[str]:
        """Yield notes on the metrics of model `name` over `texts` texts."""
        if self.trained_on:
            share = "all" if self.trained_on == texts else f"{self.trained_on:,} of the"
            yield f"{name} was trained on {share} {texts:,} texts: its metrics are too high here"
        elif self.trained_on is None:
            yield f"it is not known whether {name} was trained on these texts: {self.why}"
        if self.chosen_on:
            yield f"the best epoch of {name} was chosen on these texts: its metrics are too high"


def find_train_overlaps(
    examples: Examples, runs: Mapping[str, Run | None], digests: Mapping[str, str | None]
) -> dict[str, TrainOverlap]:
    """Find the overlap of examples with the training data of models.

    An export was trained on the data of a run with the same hash.

    Args:
        examples: Labelled examples.
        runs: Run by the model's name; None for an export.
        digests: SHA-256 of the training data by the model's name.
    """
    of_runs = {name: run_overlap(run, examples) for name, run in runs.items() if run}
    known = {
        digests[name]: TrainOverlap(one.trained_on, why=one.why) for name, one in of_runs.items()
    }
    known.pop(None, None)
    return {
        name: of_runs.get(name) or known.get(digest) or export_overlap(digest, examples)
        for name, digest in digests.items()
    }


def run_overlap(run: Run, examples: Examples) -> TrainOverlap:
    """Find the overlap with a run's data, by its hashes and its train file where that exists."""
    content = hash_of(examples)
    if content == run.data.get("train_sha256"):
        return TrainOverlap(len(examples))
    chosen_on = content == run.data.get("dev_sha256")
    train = _find_train(run)
    if train is None:
        why = f"its train file is not where it was, or is another now ({run.config.train})"
        return TrainOverlap(None, chosen_on, why)
    trained_on = set(example_keys(train))
    return TrainOverlap(sum(key in trained_on for key in example_keys(examples)), chosen_on)


def export_overlap(train_sha256: str | None, examples: Examples) -> TrainOverlap:
    """Find the overlap with an export's data, of which it has only the hash."""
    if hash_of(examples) == train_sha256:
        return TrainOverlap(len(examples))
    return TrainOverlap(None, why="an export does not name its train file; compare the run itself")


def hash_of(examples: Examples) -> str:
    """Return the hash of labelled examples as in data.json and an export's info."""
    return hash_texts(examples.joined(), examples.labels or ())


def _find_train(run: Run) -> Examples | None:
    """Return the run's train examples where their hash is the recorded one, else None."""
    config = run.config
    try:
        columns, rules = Columns.of(config), TASKS[config.task].rules
        share = float(config.dev) if is_share(config.dev) else None
        # The hash shows whether these are the examples.
        train = read_labelled(str(config.train), columns, rules)
        train = fit_train(train, config.rare_labels, share is not None, rules)
        if share is not None:
            keep = config.rare_labels != "error"
            train, _ = split_off_dev(train, share, config.dev_seed, rules, keep)
    except UserError:
        return None
    return train if hash_of(train) == run.data.get("train_sha256") else None
