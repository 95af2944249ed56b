"""Whether a run has been trained on the texts that it is to be judged by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tfpipe.data.dev_split import example_keys, split_off_dev
from tfpipe.data.encoded import hash_texts
from tfpipe.data.read_examples import Columns, Examples, read_examples
from tfpipe.data.splits import is_share
from tfpipe.errors import UserError
from tfpipe.run_folder import Run
from tfpipe.tasks import TASKS


@dataclass(frozen=True)
class Seen:
    """What a model has seen of N texts.

    trained_on: how many of them, after normalising, it was trained on; None where that cannot be
    known, which `why` then tells; chosen_on: whether its best epoch was chosen by them.
    """

    trained_on: int | None
    chosen_on: bool = False
    why: str = ""

    def sentences(self, name: str, texts: int) -> Iterator[str]:
        """What the reader must know before believing the figures of model `name`."""
        if self.trained_on:
            share = "all" if self.trained_on == texts else f"{self.trained_on:,} of the"
            yield f"{name} was trained on {share} {texts:,} texts: its figures flatter it here"
        elif self.trained_on is None:
            yield f"whether {name} was trained on these texts cannot be told: {self.why}"
        if self.chosen_on:
            yield f"the best epoch of {name} was chosen on these texts, which flatters it a little"


def what_they_saw(
    examples: Examples, runs: Mapping[str, Run | None], digests: Mapping[str, str | None]
) -> dict[str, Seen]:
    """What each model, by its name, saw of the examples.

    runs: None for an export; digests: SHA-256 of what each was trained on. An export of one of the
    runs, or of another on the same data, was trained on what that run was.
    """
    of_runs = {name: what_a_run_saw(run, examples) for name, run in runs.items() if run}
    known = {digests[name]: Seen(seen.trained_on, why=seen.why) for name, seen in of_runs.items()}
    known.pop(None, None)
    return {
        name: of_runs.get(name) or known.get(digest) or what_an_export_saw(digest, examples)
        for name, digest in digests.items()
    }


def what_a_run_saw(run: Run, examples: Examples) -> Seen:
    """What a run saw of the examples: its data's hashes tell, and its train file where it lies."""
    content = hash_of(examples)
    if content == run.data.get("train_sha256"):
        return Seen(len(examples))
    chosen_on = content == run.data.get("dev_sha256")
    train = _find_train(run)
    if train is None:
        why = f"its train file is not where it was, or is another now ({run.config.train})"
        return Seen(None, chosen_on, why)
    trained_on = set(example_keys(train))
    return Seen(sum(key in trained_on for key in example_keys(examples)), chosen_on)


def what_an_export_saw(train_sha256: str | None, examples: Examples) -> Seen:
    """What an export saw, which holds nothing of its train data but the hash."""
    if hash_of(examples) == train_sha256:
        return Seen(len(examples))
    return Seen(None, why="an export does not name its train file; compare the run itself")


def hash_of(examples: Examples) -> str:
    """The hash of labelled examples, as data.json and an export's info have it."""
    return hash_texts(examples.joined(), examples.labels or ())


def _find_train(run: Run) -> Examples | None:
    """The examples that the run was trained on, where the hash proves that they are these."""
    config = run.config
    try:
        columns = Columns(config.text, config.text_pair, config.label)
        # Hashes tell whether these are the examples: labels need not be checked.
        rules = TASKS[config.task].task_class
        train = read_examples(
            str(config.train), columns, optional_label=True, strip_label=rules.strip_label
        )
        if is_share(config.dev):
            train, _ = split_off_dev(train, float(config.dev), config.seed, rules)
    except UserError:
        return None
    return train if hash_of(train) == run.data.get("train_sha256") else None
