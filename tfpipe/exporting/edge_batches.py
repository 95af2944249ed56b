"""Edge cases: batches and texts that every export must answer as the training process does."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tfpipe.exporting.clean_process import Answers, Columns, as_answers
from tfpipe.model.text_model import TextModel
from tfpipe.tasks.task import Task

BATCH_SIZES = (0, 1, 2, 33)
LONG = 10_000
DAMAGED = (b"\xff\xfe", b"caf\xc3", b"my \xed\xa0\x80 card", b"\xf0\x9f\x98", b"a\0b\xc0\x80")


def make_edge_batches(names: Sequence[str], max_length: int) -> list[Columns]:
    """Return batches of 0, 1, 2 and 33 texts.

    The texts are empty, of damaged UTF-8, of 1 token to more than `max_length`, and of 10 kB.

    Args:
        names: Names of the one or two inputs.
        max_length: Tokens of an input.
    """
    # A letter is a token in every vocabulary, [UNK] where it is not in it.
    lengths = (1, 2, 17, max_length - 2, max_length, max_length + 1)
    texts = [b"", b" \t\n", *DAMAGED, *((b"a " * length)[:-1] for length in lengths)]
    texts += [
        (b"money back? " * LONG)[:LONG],
        b"x" * LONG,
        "我的卡在哪里？".encode() * (LONG // 21),
    ]
    batches: list[Columns] = []
    for size in (*BATCH_SIZES, *[1] * len(texts)):
        first = len(batches)
        steps = dict(zip(names, (1, 3), strict=False))
        batches.append(
            {
                name: [texts[(first + step * i) % len(texts)] for i in range(size)]
                for name, step in steps.items()
            }
        )
    return batches


def answer_in_process(
    model: TextModel, task: Task, max_length: int, batches: list[Columns]
) -> list[Answers]:
    """Return this process's answers to batches, computed with all their texts in one batch."""
    rows = [list(zip(*batch.values(), strict=True)) for batch in batches]
    place = {row: i for i, row in enumerate(dict.fromkeys(row for batch in rows for row in batch))}
    # As in the tokenizer: invalid UTF-8 counts as the replacement character.
    columns = [
        tf.constant([content.decode("utf-8", "replace") for content in column])
        for column in zip(*place, strict=True)
    ]
    answers = as_answers(task.answer(columns, model.tokenizer, max_length, model.logits))
    chosen = [np.array([place[row] for row in batch], int) for batch in rows]
    return [{name: values[wanted] for name, values in answers.items()} for wanted in chosen]
