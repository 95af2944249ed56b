"""Texts and batches at the edges, which every export must answer as the training process does."""

from __future__ import annotations

import numpy as np

from tfpipe.exporting.stranger import Answers, Columns
from tfpipe.model.checkpoint import Classifier
from tfpipe.tasks.classify import Classify

BATCH_SIZES = (0, 1, 2, 33)
LONG = 10_000
DAMAGED = (b"\xff\xfe", b"caf\xc3", b"my \xed\xa0\x80 card", b"\xf0\x9f\x98", b"a\0b\xc0\x80")


def probe_batches(pairs: bool, max_length: int) -> list[Columns]:
    """Batches of 0, 1, 2 and 33 texts: empty, damaged, of 1 token to more than fit, of 10 kB."""
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
        column = [texts[(first + i) % len(texts)] for i in range(size)]
        batch = {"text": column}
        if pairs:
            batch["text_pair"] = [texts[(first + 3 * i) % len(texts)] for i in range(size)]
        batches.append(batch)
    return batches


def answer_here(
    classifier: Classifier, task: Classify, max_length: int, batches: list[Columns]
) -> list[Answers]:
    """What the training process answers to these batches, with all their texts in one batch."""
    rows = [list(zip(*batch.values(), strict=True)) for batch in batches]
    place = {row: i for i, row in enumerate(dict.fromkeys(row for batch in rows for row in batch))}
    # As the tokenizer's rule says: what is no UTF-8 counts like the replacement character.
    text, *pair = (
        [content.decode("utf-8", "replace") for content in column]
        for column in zip(*place, strict=True)
    )
    encoded = classifier.tokenizer(text, pair[0] if pair else None, max_length=max_length)
    decoded = task.decode(classifier.logits(encoded))
    labels = np.array([label.decode() for label in decoded["label"].numpy()])
    scores = decoded["scores"].numpy()
    chosen = [np.array([place[row] for row in batch], int) for batch in rows]
    return [Answers(labels[wanted], scores[wanted]) for wanted in chosen]
