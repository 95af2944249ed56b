"""Paired test of a new version against a published one, the baseline, on labelled texts."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfpipe.data.examples import Examples
from tfpipe.errors import UserError
from tfpipe.exporting.clean_process import Answers, batches_of, join, run_in_clean_process
from tfpipe.exporting.info import read_info, refuse_adapters
from tfpipe.exporting.object_store import local_copy, refuse_unknown_store, store_errors
from tfpipe.locations import SAVED_MODEL, locate
from tfpipe.stats.mcnemar import count_agreement
from tfpipe.tasks.task import Task

SIGNIFICANT = 0.05


@dataclass(frozen=True)
class PairedTest:
    """Counts of N texts that each version answered correctly, or better than the other.

    Attributes:
        against: Folder or URL of the baseline.
        data: The file of the texts.
        both: Texts that both answered correctly.
        only_new: Texts that only the new version answered correctly.
        only_old: Texts that only the baseline answered correctly.
        neither: Texts that neither answered correctly.
        p_value: Of the exact two-sided McNemar test: the probability of a difference at least as
            large as that of `only_new` and `only_old` when both versions are equally good.
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
        """Whether the new version is significantly worse."""
        return self.only_old > self.only_new and self.p_value < SIGNIFICANT

    def __str__(self) -> str:
        texts = self.both + self.only_new + self.only_old + self.neither
        return (
            f"of {texts} texts {self.both} right in both, {self.only_new} in the new version only,"
            f" {self.only_old} in {self.against} only; p = {self.p_value:.3g} (exact McNemar test)"
        )

    def as_json(self) -> dict[str, Any]:
        """Return the record for gate.json."""
        return asdict(self) | {"new_is_worse": self.new_is_worse}


def find_baseline(folder: str) -> Path | str:
    """Return the folder or URL of the baseline; raises UserError where it is not a version."""
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
    refuse_adapters(read_info(found.folder), folder)
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
    baseline: Path | str, task: Task, answers: Answers, examples: Examples
) -> PairedTest:
    """Compare a new version's answers with those of the baseline.

    Args:
        baseline: Folder or URL of the baseline, which runs in a process of its own.
        task: The task of both.
        answers: The new version's answers to the examples.
        examples: Labelled examples.

    Raises:
        UserError: The baseline cannot answer, or the new version is worse with p < 0.05.
    """
    with local_copy(baseline) as folder:
        old = run_in_clean_process(folder, batches_of(examples, task))
    try:
        before = task.costs(examples, join(old.answered()))
    except (RuntimeError, ValueError) as error:
        raise UserError(
            "the version of --not-worse-than cannot answer these texts",
            f"{baseline}: {str(error).strip().splitlines()[-1]}",
            "name another version, or data of the kind that it was made for",
        ) from None
    compared = paired_test(str(baseline), examples.path, task.costs(examples, answers), before)
    if compared.new_is_worse:
        raise UserError(
            "the model is worse than --not-worse-than allows, nothing was published",
            str(compared),
            "train a better model",
        )
    return compared


def paired_test(against: str, data: str, new: np.ndarray, old: np.ndarray) -> PairedTest:
    """Compute the paired test from the costs of both versions' answers.

    An answer counts as correct where its cost is 0 or less than that of the other version.

    Args:
        against: Folder or URL of the baseline.
        data: The file of the texts.
        new: float [N], costs of the new version's answers.
        old: float [N], costs of the baseline's answers.
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
