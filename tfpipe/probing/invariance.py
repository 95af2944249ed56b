"""Changes that should not matter: how many answers stay, and what they cost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from tfpipe.data.changes.changed_examples import change_examples
from tfpipe.data.changes.changes import CHANGES
from tfpipe.data.examples import Examples
from tfpipe.exporting.clean_process import Answers
from tfpipe.predicting.answer_texts import answer_texts, names_of
from tfpipe.predicting.predictor import Predictor
from tfpipe.report.sections import ChangeRow
from tfpipe.tasks.task import Task


def probe_changes(
    predictor: Predictor,
    task: Task,
    examples: Examples,
    names: Sequence[str],
    share: float,
    seed: int,
) -> Iterator[ChangeRow]:
    """Yield what each change does.

    Args:
        predictor: The model.
        task: Its task.
        examples: Labelled examples.
        names: Keys of CHANGES.
        share: Of the places of a text that are changed, at least one.
        seed: Of the changes.
    """
    metric = next(iter(predictor.spec.metrics))
    answers = _answer(predictor, examples)
    for name in names:
        rules = predictor.spec.rules
        changed, differ = change_examples(
            examples, CHANGES[name], share, rules, f"{seed}/{name}", least=1
        )
        rows = np.flatnonzero(differ)
        if not len(rows):
            yield ChangeRow(name, 0, None, None, None)
            continue
        original, other = examples.take(rows.tolist()), changed.take(rows.tolist())
        own = {key: values[rows] for key, values in answers.items()}
        new = _answer(predictor, other)
        before, after = task.judge(original, own), task.judge(other, new)
        yield ChangeRow(
            name,
            len(rows),
            before.metrics[metric],
            after.metrics[metric],
            share_kept(predictor, own, new),
        )


def share_kept(predictor: Predictor, own: Answers, new: Answers) -> float | None:
    """Return the share of equal answers; None of a task whose answers are not names of labels."""
    if predictor.spec.schema.load().scores_of != "label":
        return None
    before, after = (names_of(predictor, outputs) for outputs in (own, new))
    return float(np.mean([one == other for one, other in zip(before, after, strict=True)]))


def _answer(predictor: Predictor, examples: Examples) -> Answers:
    return answer_texts(predictor, examples.texts, examples.text_pairs)
