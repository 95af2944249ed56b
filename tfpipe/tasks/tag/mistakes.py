"""Wrong and missed entities in excerpts of their texts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from tfpipe.data.spans import Span
from tfpipe.tasks.evaluation import MOST_MISTAKES, Mistake
from tfpipe.tasks.excerpts import GOLD, PREDICTED, Mark, excerpt
from tfpipe.tasks.sections import MistakeRow, Mistakes

MOST_MISSED = 10
# A text, its gold entities, and those found with their scores.
Row = tuple[str, Sequence[Span], Sequence[tuple[Span, float]]]


def show_mistakes(every: Sequence[Mistake], rows_of: Iterable[Row]) -> Mistakes:
    """Show wrong entities, the most confident first, then some that were missed.

    Args:
        every: All mistakes.
        rows_of: All texts with their entities.
    """
    wrong = [mistake for mistake in every if mistake.predicted]
    missed = [mistake for mistake in every if not mistake.predicted]
    shown = wrong[:MOST_MISTAKES] + missed[:MOST_MISSED]
    known: dict[str, list[tuple[Span, int]]] = {mistake.text: [] for mistake in shown}
    for text, gold, found in rows_of:
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
