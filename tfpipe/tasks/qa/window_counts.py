"""Windows of questions and contexts, counted without TensorFlow as training cuts them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tfpipe.data.examples import Examples
from tfpipe.data.squad import GoldAnswer
from tfpipe.data.token_counts import TokenCounts, count_unknown_in
from tfpipe.data.tokenizer.fast_tokenizer import FastTokenizer, Tokens
from tfpipe.tasks.qa.window_plan import count_windows, plan_windows


def count_window_tokens(
    examples: Examples, tokenizer: FastTokenizer, max_length: int
) -> TokenCounts:
    """Count the tokens of N questions over all windows of their contexts."""
    question = tokenizer.tokenize(examples.texts)
    context = _tokenize_contexts(examples, tokenizer, offsets=False)
    owner, begins, lengths, kept = _cut(question, context, tokenizer, max_length)
    unknown = count_unknown_in(question, tokenizer, question.splits[owner], kept[owner])
    unknown += count_unknown_in(context, tokenizer, context.splits[owner] + begins, lengths)

    def of_examples(values: np.ndarray) -> np.ndarray:
        return np.bincount(owner, values, len(examples)).astype(np.int64)

    full_lengths = question.lengths + context.lengths + tokenizer.frame.pair_specials
    tokens = of_examples(kept[owner] + lengths)
    return TokenCounts(full_lengths, tokens, of_examples(unknown), len(owner))


def count_lost_answers(
    examples: Examples,
    answers: Sequence[Sequence[GoldAnswer]],
    tokenizer: FastTokenizer,
    max_length: int,
) -> int:
    """Count the questions whose first answer is whole in no window."""
    question = tokenizer.tokenize(examples.texts)
    context = _tokenize_contexts(examples, tokenizer, offsets=True)
    owner, begins, lengths, _ = _cut(question, context, tokenizer, max_length)
    bounds = np.searchsorted(owner, np.arange(len(examples) + 1))
    lost = 0
    for row, several in enumerate(answers):
        if not several:
            continue
        part = slice(*context.splits[row : row + 2])
        starts, ends = context.starts[part], context.ends[part]
        begin, limit = several[0].start, several[0].start + len(several[0].text)
        hit = np.flatnonzero((ends > begin) & (starts < limit))
        windows = slice(bounds[row], bounds[row + 1])
        lost += not _is_in_a_window(
            hit, starts <= begin, ends >= limit, begins[windows], lengths[windows]
        )
    return lost


def _is_in_a_window(
    hit: np.ndarray,
    may_begin: np.ndarray,
    may_end: np.ndarray,
    begins: np.ndarray,
    lengths: np.ndarray,
) -> bool:
    """Return whether an answer is whole in a window.

    Args:
        hit: The tokens of the context that the answer touches, in order.
        may_begin: bool [T], whether the answer begins at a token of the context or after its start.
        may_end: bool [T], whether the answer ends at a token of the context or before its end.
        begins: The first token of each window.
        lengths: The tokens of each window.
    """
    for first_of, limit in zip(begins.tolist(), (begins + lengths).tolist(), strict=True):
        inside = hit[(hit >= first_of) & (hit < limit)]
        # The window may begin or end in the midst of the answer.
        if (
            len(inside)
            and (may_begin[inside[0]] or inside[0] == 0 or inside[0] > first_of)
            and (may_end[inside[-1]] or inside[-1] < limit - 1)
        ):
            return True
    return False


def _tokenize_contexts(examples: Examples, tokenizer: FastTokenizer, offsets: bool) -> Tokens:
    """Tokenize each different context once: several questions share one."""
    numbers: dict[str, int] = {}
    contexts = examples.text_pairs or ()
    of_row = np.array([numbers.setdefault(text, len(numbers)) for text in contexts], np.int64)
    return tokenizer.tokenize([*numbers], offsets).take(of_row)


def _cut(
    question: Tokens, context: Tokens, tokenizer: FastTokenizer, max_length: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return of each window the question, and first token and tokens of the context.

    The fourth array has the tokens kept of each question.
    """
    capacity = max_length - tokenizer.frame.pair_specials
    kept, capacity, step = plan_windows(
        np, question.lengths, context.lengths, capacity, max_length // 2
    )
    count = count_windows(np, context.lengths, capacity, step)
    owner = np.repeat(np.arange(len(count)), count)
    number = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
    begins = number * step[owner]
    return owner, begins, np.minimum(capacity[owner], context.lengths[owner] - begins), kept
