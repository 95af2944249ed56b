"""A new version against one that is served: both answer the same labelled texts."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfpipe.data.read_examples import Examples
from tfpipe.errors import UserError
from tfpipe.exporting.clean_process import Answers, batches_of, join, run_in_clean_process
from tfpipe.exporting.object_store import local_copy, refuse_unknown_store, store_errors
from tfpipe.locations import SAVED_MODEL, locate
from tfpipe.stats.mcnemar import count_agreement
from tfpipe.tasks.task import Task

SIGNIFICANT = 0.05


@dataclass(frozen=True)
class PairedTest:
    """How many of N texts which version answered right, or nearer to right than the other.

    p_value: of the exact McNemar test, two-sided: how probable a difference as large as that
    between `only_new` and `only_old` is when both versions are equally good.
    """

    against: str
    data: str
    both: int
    only_new: int
    only_old: int
    neither: int
    p_value: float

    @property
    def new_is_worse(self) -> bool:
        return self.only_old > self.only_new and self.p_value < SIGNIFICANT

    def __str__(self) -> str:
        texts = self.both + self.only_new + self.only_old + self.neither
        return (
            f"of {texts} texts {self.both} right in both, {self.only_new} in the new version only,"
            f" {self.only_old} in {self.against} only; p = {self.p_value:.3g} (exact McNemar test)"
        )

    def as_json(self) -> dict[str, Any]:
        """What is recorded."""
        return asdict(self) | {"new_is_worse": self.new_is_worse}


def find_baseline(folder: str) -> Path | str:
    """The folder, or URL, of a version to compare with; raises UserError where there is none."""
    found = locate(folder)
    if found.kind == "store":
        return _find_in_store(folder.rstrip("/"))
    if found.kind != "export" or found.folder != Path(folder):
        suggestion = found.suggestion if found.version is None else ""
        raise UserError(
            "--not-worse-than names no version",
            f"no {SAVED_MODEL} in {folder}: {found.description}",
            f"{suggestion}give FOLDER/NAME/N, as in models/support/3",
        )
    return found.folder


def _find_in_store(url: str) -> str:
    refuse_unknown_store(url)
    with store_errors(
        url, "the store of --not-worse-than cannot be read", "see that you may read it"
    ):
        if not tf.io.gfile.exists(f"{url}/{SAVED_MODEL}"):
            raise UserError(
                "--not-worse-than names no version",
                f"no {SAVED_MODEL} in {url}",
                "give BASE/N, as in gs://bucket/models/support/3",
            )
    return url


def compare_with_baseline(
    rival: Path | str, task: Task, answers: Answers, examples: Examples
) -> PairedTest:
    """Compare `answers` to labelled examples with what `rival` answers in a fresh process.

    Raises UserError where the rival cannot answer and where the new version is worse with
    p < 0.05.
    """
    with local_copy(rival) as folder:
        old = run_in_clean_process(folder, batches_of(examples, task))
    try:
        before = task.costs(examples, join(old.answered()))
    except (RuntimeError, ValueError) as error:
        raise UserError(
            "the version of --not-worse-than cannot answer these texts",
            f"{rival}: {str(error).strip().splitlines()[-1]}",
            "name another version, or data of the kind that it was made for",
        ) from None
    duel = paired_test(str(rival), examples.path, task.costs(examples, answers), before)
    if duel.new_is_worse:
        raise UserError(
            "the model is worse than --not-worse-than allows, nothing was published",
            str(duel),
            "train a better model",
        )
    return duel


def paired_test(against: str, data: str, new: np.ndarray, old: np.ndarray) -> PairedTest:
    """The counts and the test for how wrong the answers of both versions are, float [N] each.

    An answer is right where its cost is 0 or less than that of the other version.
    """
    counts = count_agreement((old == 0) | (old < new), (new == 0) | (new < old))
    return PairedTest(
        against=against,
        data=data,
        both=counts.both,
        only_new=counts.only_b,
        only_old=counts.only_a,
        neither=counts.neither,
        p_value=counts.p_value,
    )
