"""Wrong answers in excerpts of their contexts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from tfpipe.tasks.evaluation import Mistake
from tfpipe.tasks.excerpts import GOLD, PREDICTED, Mark, excerpt, find_words
from tfpipe.tasks.sections import MistakeRow

BETWEEN = " | "


def show_mistakes(
    mistakes: Sequence[Mistake],
    texts: Sequence[str],
    gold: Sequence[Sequence[str]],
    outputs: Mapping[str, np.ndarray],
) -> list[MistakeRow]:
    """Show mistakes with the question, and both answers marked in the context."""
    # Equal questions to equal contexts are answered alike.
    row_of = {text: row for row, text in enumerate(texts)}
    rows = []
    for mistake in mistakes:
        row = row_of[mistake.text]
        start, end = (int(outputs[name][row]) for name in ("start", "end"))
        begin = _context_begin(mistake.text, mistake.predicted, start)
        context = mistake.text[begin:]
        marks = find_words(context, gold[row], GOLD)
        if 0 <= start < end:
            marks.append(Mark(start, end, PREDICTED))
        question = mistake.text[: begin - len(BETWEEN)] if begin else ""
        pieces = excerpt(context, marks)
        rows.append(
            MistakeRow(
                *(mistake.text, mistake.gold, mistake.predicted, mistake.score), question, pieces
            )
        )
    return rows


def _context_begin(text: str, answer: str, start: int) -> int:
    """Where the context begins that was joined to its question: there the answer fits its place."""
    begins = [found.end() for found in re.finditer(re.escape(BETWEEN), text)]
    fits = (b for b in begins if answer and text.startswith(answer, b + start))
    return next(fits, begins[0] if begins else 0)
