"""A new version against one that is served: both answer the same labelled texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from scipy.stats import binomtest

from tfpipe.data.read import Examples
from tfpipe.errors import UserError, did_you_mean
from tfpipe.exporting.claims import MODEL
from tfpipe.exporting.objects import answering, is_url, local_copy, refuse_unknown
from tfpipe.exporting.stranger import Answers, batches_of, join, open_as_stranger

SIGNIFICANT = 0.05


@dataclass(frozen=True)
class Duel:
    """How many of N texts which version answered right.

    p_value: of the exact McNemar test, two-sided: how probable a difference as large as that
    between `only_new` and `only_old` is when both versions are equally good.
    Source: McNemar 1947 (https://doi.org/10.1007/BF02295996).
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


def find_rival(folder: str) -> Path | str:
    """The folder, or URL, of a version to compare with; raises UserError where there is none."""
    if is_url(folder):
        return _find_in_store(folder.rstrip("/"))
    rival = Path(folder)
    if not (rival / "saved_model.pb").is_file():
        parent = rival.parent
        versions = [child.name for child in parent.iterdir()] if parent.is_dir() else []
        inside = [child.name for child in rival.iterdir()] if rival.is_dir() else []
        raise UserError(
            "--not-worse-than names no version",
            f"no saved_model.pb in {folder}" + (f": {', '.join(inside[:5])}" if inside else ""),
            did_you_mean(rival.name, versions) + "give FOLDER/NAME/N, as in models/support/3",
        )
    return rival


def _find_in_store(url: str) -> str:
    refuse_unknown(url)
    with answering(url, "the store of --not-worse-than cannot be read", "see that you may read it"):
        if not tf.io.gfile.exists(f"{url}/{MODEL}"):
            raise UserError(
                "--not-worse-than names no version",
                f"no {MODEL} in {url}",
                "give BASE/N, as in gs://bucket/models/support/3",
            )
    return url


def hold_a_duel(rival: Path | str, answers: Answers, examples: Examples) -> Duel:
    """Compare `answers` to labelled examples with what `rival` answers in a fresh process.

    Raises UserError where the rival cannot answer and where the new version is worse with
    p < 0.05.
    """
    with local_copy(rival) as folder:
        old = open_as_stranger(folder, batches_of(examples))
    if old.batches is None:
        said = old.said.strip().splitlines() or ["nothing"]
        raise UserError(
            "the version of --not-worse-than cannot answer these texts",
            f"{rival}: {said[-1]}",
            "name another version, or data of the kind that it was made for",
        )
    duel = judge(
        str(rival), examples.path, examples.labels or (), answers.labels, join(old.batches).labels
    )
    if duel.new_is_worse:
        raise UserError(
            "the model is worse than --not-worse-than allows, nothing was published",
            str(duel),
            "train a better model",
        )
    return duel


def judge(against: str, data: str, gold: Sequence[str], new: np.ndarray, old: np.ndarray) -> Duel:
    """The counts and the test for the labels of both versions, str [N] each."""
    new_right, old_right = new == np.asarray(gold), old == np.asarray(gold)
    only_new = int((new_right & ~old_right).sum())
    only_old = int((old_right & ~new_right).sum())
    differing = only_new + only_old
    p_value = float(binomtest(only_new, differing).pvalue) if differing else 1.0
    return Duel(
        against=against,
        data=data,
        both=int((new_right & old_right).sum()),
        only_new=only_new,
        only_old=only_old,
        neither=int((~new_right & ~old_right).sum()),
        p_value=p_value,
    )
