"""The mistakes as the report shows them: what was wrong, and where in the text."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from tfpipe.data.spans import Span
from tfpipe.report.excerpts import GOLD, PREDICTED, Mark, excerpt, find_words
from tfpipe.report.sections import MistakeRow, Mistakes
from tfpipe.tasks.answering.evaluation import QAEvaluation
from tfpipe.tasks.evaluation import Evaluation, Mistake
from tfpipe.tasks.multilabel_evaluation import MultilabelEvaluation
from tfpipe.tasks.regress_evaluation import RegressEvaluation
from tfpipe.tasks.tagging.evaluation import TagEvaluation
from tfpipe.tasks.task import TaskEvaluation

MOST_MISTAKES = 20
MOST_MISSED = 10
BETWEEN = " | "


def describe_mistakes(evaluation: TaskEvaluation) -> Mistakes:
    """The worst answers, the worst first, and how many are wrong in all."""
    if isinstance(evaluation, TagEvaluation):
        return _of_entities(evaluation)
    if isinstance(evaluation, QAEvaluation):
        rows = _of_answers(evaluation, evaluation.mistakes(MOST_MISTAKES))
        return Mistakes(rows, int((evaluation.f1 == 0).sum()), "answers")
    rows = [_plain(mistake) for mistake in evaluation.mistakes(MOST_MISTAKES)]
    if isinstance(evaluation, Evaluation):
        return Mistakes(rows, int((evaluation.gold != evaluation.predicted).sum()), "confident")
    if isinstance(evaluation, MultilabelEvaluation):
        wrong = (evaluation.gold != evaluation.active).any(axis=1)
        return Mistakes(rows, int(wrong.sum()), "decisions")
    return Mistakes(
        rows, None, "furthest" if isinstance(evaluation, RegressEvaluation) else "worst"
    )


def _plain(mistake: Mistake) -> MistakeRow:
    return MistakeRow(mistake.text, mistake.gold, mistake.predicted, mistake.score)


# ---- answers to questions
def _of_answers(evaluation: QAEvaluation, mistakes: Sequence[Mistake]) -> list[MistakeRow]:
    # Equal questions to equal contexts are answered alike.
    row_of = {text: row for row, text in enumerate(evaluation.texts)}
    rows = []
    for mistake in mistakes:
        row = row_of[mistake.text]
        start, end = (int(evaluation.outputs[name][row]) for name in ("start", "end"))
        begin = _context_begin(mistake.text, mistake.predicted, start)
        context = mistake.text[begin:]
        marks = find_words(context, evaluation.gold[row], GOLD)
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


# ---- entities
def _of_entities(evaluation: TagEvaluation) -> Mistakes:
    """Wrong entities, the surest first, and behind them some that were missed."""
    every = evaluation.mistakes(most=10**9)
    wrong = [mistake for mistake in every if mistake.predicted]
    missed = [mistake for mistake in every if not mistake.predicted]
    shown = wrong[:MOST_MISTAKES] + missed[:MOST_MISSED]
    known: dict[str, list[tuple[Span, int]]] = {mistake.text: [] for mistake in shown}
    columns = (evaluation.texts, evaluation.gold, evaluation.predicted)
    for text, gold, found in zip(*columns, strict=True):
        if text in known:
            known[text] += [(span, GOLD) for span in gold]
            known[text] += [(span, PREDICTED) for span, _ in found]
    rows = []
    for mistake in shown:
        marks = [
            Mark(span.start, span.end, kind)
            for span, kind in known[mistake.text]
            if _told(span, mistake.text) in (mistake.gold if kind == GOLD else mistake.predicted)
        ]
        score = mistake.score if mistake.predicted else None
        pieces = excerpt(mistake.text, marks)
        rows.append(MistakeRow(mistake.text, mistake.gold, mistake.predicted, score, "", pieces))
    causes = Counter(_cause(mistake) for mistake in every)
    return Mistakes(rows, len(every), "entities", causes)


def _told(span: Span, text: str) -> str:
    return f"{span.type}: {text[span.start : span.end]}"


def _cause(mistake: Mistake) -> str:
    """What is wrong with an entity: `missed`, `invented`, `type`, `limits` or `both`."""
    if not mistake.predicted:
        return "missed"
    if not mistake.gold:
        return "invented"
    kind, _, words = mistake.predicted.partition(": ")
    gold_kind, _, gold_words = mistake.gold.partition(": ")
    if words == gold_words:
        return "type"
    return "limits" if kind == gold_kind else "both"
