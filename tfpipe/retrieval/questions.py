"""Labelled questions, on which an index is tuned and measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tfpipe.data.table_rows import read_table
from tfpipe.errors import UserError, did_you_mean, raise_all
from tfpipe.retrieval.entries import Entries

# Of fewer questions, one is more than a twentieth of every figure.
LEAST_QUESTIONS = 20
# As of out-of-scope texts in `tfpipe.train --abstain`: one in each part of a cross-fit.
LEAST_UNANSWERED = 5


@dataclass(frozen=True)
class Questions:
    """Q labelled questions.

    Attributes:
        path: Their file.
        texts: The questions.
        gold: int [Q], the number of the right entry; -1 where no entry answers.
    """

    path: str
    texts: Sequence[str]
    gold: np.ndarray

    @property
    def answered(self) -> np.ndarray:
        """Whether an entry answers, bool [Q]."""
        return np.asarray(self.gold >= 0)


def read_questions(path: str, entries: Entries, header: bool | None = None) -> Questions:
    """Read the questions of --tune.

    Raises:
        UserError: The table cannot be read, names entries that do not exist, or is too small; all
            errors together.
    """
    table = read_table(path, header)
    text = table.find_text(None)
    name = table.find("id", None)
    if name is None:
        found = f"{path} has {', '.join(table.header)}"
        fix = "add a column `id` with the id of the right entry, empty where there is none"
        raise UserError("the questions of --tune have no ids", found, fix)
    texts, ids = table.column(text), table.column(name)
    errors: list[UserError] = []
    empty = [row for row, value in enumerate(texts) if not value]
    if empty:
        errors.append(table.error("questions of --tune are empty", empty, "remove these rows"))
    numbers = {entry: number for number, entry in enumerate(entries.ids)} | {"": -1}
    unknown = [row for row, entry in enumerate(ids) if entry not in numbers]
    if unknown:
        first = ids[unknown[0]]
        errors.append(
            table.error(
                f"questions of --tune name entries that the table lacks, as {first!r}",
                unknown,
                f"{did_you_mean(first, entries.ids)}write ids of --data, or nothing where no entry"
                " answers",
            )
        )
    answered = sum(1 for entry in ids if entry)
    if answered < LEAST_QUESTIONS:
        errors.append(
            UserError(
                "--tune has too few questions that an entry answers",
                f"{answered} in {path}",
                f"give at least {LEAST_QUESTIONS}, or leave out --tune",
            )
        )
    if 0 < len(ids) - answered < LEAST_UNANSWERED:
        errors.append(
            UserError(
                "--tune has too few questions without an id to choose a floor on",
                f"{len(ids) - answered} in {path}",
                f"give at least {LEAST_UNANSWERED} that no entry answers, or none",
            )
        )
    raise_all(errors)
    return Questions(path, texts, np.array([numbers[entry] for entry in ids], np.int64))
