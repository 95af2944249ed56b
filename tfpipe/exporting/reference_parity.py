"""Comparison with the references: transformers' tokenizer, and stock TFBert."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfpipe.data.examples import Examples
from tfpipe.data.tokenizer import Tokenizer
from tfpipe.data.tokenizer.reference import load_reference
from tfpipe.exporting.answer_parity import Parity, compare_answers
from tfpipe.exporting.clean_process import Answers, as_answers, join
from tfpipe.exporting.fuzz_strings import strings
from tfpipe.model.text_model import TextModel
from tfpipe.tasks.task import Forward, Task

FUZZ_STRINGS = 2000
SEED = 1
BATCH_SIZE = 256
# Stock TFBert computes padding too; this many texts are enough to detect a different graph.
COMPARED_TEXTS = 256


def compare_tokenizers(
    tokenizer: Tokenizer, model_folder: Path, examples: Examples, max_length: int
) -> dict[str, dict[str, int]]:
    """Count the texts that our tokenizer and that of transformers treat differently.

    Returns:
        {"texts", "mismatches"} of each corpus: the run's own texts, and random strings.
    """
    reference = load_reference(model_folder)
    own = [*examples.texts, *(examples.text_pairs or ())]
    corpora: dict[str, list[Any]] = {
        "own_texts": own,
        "hostile_strings": list(strings(FUZZ_STRINGS, SEED)),
    }
    table = {}
    for name, texts in corpora.items():
        wrong = 0
        for start in range(0, len(texts), BATCH_SIZE):
            part = texts[start : start + BATCH_SIZE]
            wrong += len(find_mismatches(tokenizer, reference, part, max_length))
        table[name] = {"texts": len(texts), "mismatches": wrong}
    return table


def find_mismatches(
    ours: Tokenizer, reference: Any, texts: Sequence[str | bytes], max_length: int
) -> list[int]:
    """Return the numbers of the texts that our tokenizer and the reference treat differently.

    Compared are ids and offsets of the whole text, and the three inputs of BERT, cut to
    `max_length`, of the text alone and of its pair with the text at the other end of the list.
    """
    plain = [t.decode("utf-8", "replace") if isinstance(t, bytes) else t for t in texts]
    ids, start, end = (x.to_list() for x in ours.tokenize_with_offsets(texts))
    whole = reference(plain, add_special_tokens=False, return_offsets_mapping=True)
    wrong = {
        i
        for i in range(len(texts))
        if ids[i] != whole["input_ids"][i]
        or list(zip(start[i], end[i], strict=True)) != whole["offset_mapping"][i]
    }
    for pairs, plain_pairs in ((None, None), (texts[::-1], plain[::-1])):
        actual = ours(texts, pairs, max_length=max_length)
        expected = reference(
            plain,
            plain_pairs,
            truncation=True,
            max_length=max_length,
            padding="longest",
            # Those of XLM-R's tokenizer are all 0, and not returned unless asked for.
            return_token_type_ids=True,
        )
        for name, values in actual.items():
            rows = values.numpy().tolist()
            wrong |= {i for i in range(len(texts)) if rows[i] != expected[name][i]}
    return sorted(wrong)


def compare_graphs(model: TextModel, task: Task, examples: Examples, max_length: int) -> Parity:
    """Compare the exported graph with stock TFBert over the same weights and texts.

    Up to 256 of the examples are compared, spread over all of them.
    """
    count = min(COMPARED_TEXTS, len(examples))
    rows = np.linspace(0, len(examples) - 1, count, dtype=int).tolist()
    some = examples.take(rows)
    fast = replace(model, packed=True).logits

    def answer(forward: Forward) -> Answers:
        parts = []
        for start in range(0, len(some), 32):
            part = some.take(range(start, min(start + 32, len(some))))
            columns = [part.texts, *([part.text_pairs] if part.text_pairs else [])]
            texts = [tf.constant(list(column), tf.string) for column in columns]
            found = task.answer(texts, model.tokenizer, max_length, forward)
            parts.append(as_answers(found))
        return join(parts)

    return compare_answers(answer(fast), answer(model.stock_logits), task.unit)
