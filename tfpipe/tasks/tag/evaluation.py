"""Evaluation of tagging: strict metrics, entity by entity."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from tfpipe.data.spans import Span, format_spans
from tfpipe.stats.bootstrap import Interval
from tfpipe.stats.metric_intervals import count_intervals
from tfpipe.tasks.calibration.temperature import reliability
from tfpipe.tasks.evaluation import ExampleMetric, Mistake, TaskEvaluation
from tfpipe.tasks.sections import Calibration, Mistakes
from tfpipe.tasks.tag.covers import trim_span
from tfpipe.tasks.tag.mistakes import show_mistakes


@dataclass(frozen=True)
class TagEvaluation(TaskEvaluation):
    """Entities of N texts.

    An entity is right when start, end and type are (Tjong Kim Sang and De Meulder 2003), marks and
    invisible characters at its ends not counted: over the words of the tokenizer that is what
    seqeval calls strict.

    Attributes:
        texts: The N texts.
        types: The model's entity types.
        gold: The entities of each text, also those behind its truncation.
        outputs: Of serving_default: `entity` str, `start` and `end` int32, `score` float32 [N, E].
        loss: Mean cross-entropy in nats, NaN where only the answers are known.
    """

    class_noun: ClassVar[str] = "type"

    texts: Sequence[str]
    types: Sequence[str]
    gold: Sequence[Sequence[Span]]
    outputs: Mapping[str, np.ndarray]
    loss: float

    @cached_property
    def predicted(self) -> list[list[tuple[Span, float]]]:
        """The predicted entities of each text, with their scores."""
        names = ("start", "end", "entity", "score")
        columns = [self.outputs[name].tolist() for name in names]
        return [
            [(Span(start, end, kind), score) for start, end, kind, score in places if kind]
            for places in (zip(*row, strict=True) for row in zip(*columns, strict=True))
        ]

    @cached_property
    def _sets(self) -> list[tuple[set[Span], set[Span]]]:
        """Gold and predicted entities of each text, as they are compared."""
        return [
            ({trim_span(s, text) for s in gold}, {trim_span(s, text) for s, _ in found})
            for text, gold, found in zip(self.texts, self.gold, self.predicted, strict=True)
        ]

    @cached_property
    def counts(self) -> np.ndarray:
        """Right, predicted and gold entities of each text, int [N, 3]."""
        counts = [(len(gold & found), len(found), len(gold)) for gold, found in self._sets]
        return np.array(counts, np.int64).reshape(-1, 3)

    @cached_property
    def metrics(self) -> dict[str, float]:
        """The metrics of metrics.json, over the entities of all texts (micro)."""
        precision, recall, f1 = rate(*self.counts.sum(axis=0).tolist())
        return {
            "precision": precision,
            "recall": recall,
            "f1": f1,
            "loss": self.loss,
            "examples": len(self.texts),
        }

    @cached_property
    def per_class(self) -> list[dict[str, float | str]]:
        """Precision, recall, F1 and support (gold entities) of every type."""
        right, found, gold = Counter[str](), Counter[str](), Counter[str]()
        for in_gold, predicted in self._sets:
            right.update(span.type for span in in_gold & predicted)
            found.update(span.type for span in predicted)
            gold.update(span.type for span in in_gold)
        table: list[dict[str, float | str]] = []
        for kind in sorted({*self.types, *found, *gold}):
            precision, recall, f1 = rate(right[kind], found[kind], gold[kind])
            row = {"precision": precision, "recall": recall, "f1": f1, "support": gold[kind]}
            table.append({"label": kind, **row})
        return table

    def mistakes(self, most: int) -> list[Mistake]:
        """List wrong entities, the most confident first, then the missed ones.

        Gold and predicted are an entity as `person: Ann Lee`, empty for none; gold is what the
        wrong entity overlaps. The score of a missed one is 0.
        """
        wrong: list[Mistake] = []
        missed: list[Mistake] = []
        for text, gold, found in zip(self.texts, self.gold, self.predicted, strict=True):
            cores = {trim_span(span, text) for span in gold}
            met: set[Span] = set()
            for span, score in found:
                over = [g for g in gold if g.start < span.end and span.start < g.end]
                met.update(over)
                if trim_span(span, text) not in cores:
                    gold_here = ", ".join(_show(g, text) for g in over)
                    wrong.append(Mistake(text, gold_here, _show(span, text), score))
            missed += [Mistake(text, _show(g, text), "", 0.0) for g in gold if g not in met]
        wrong.sort(key=lambda mistake: -mistake.score)
        return (wrong + missed)[:most]

    def rows(self) -> Iterator[tuple[str, str, str, float]]:
        """Yield text, gold and predicted entities as labels, and the lowest score of the predicted.

        The score of a text without predicted entities is 1.
        """
        for text, gold, found in zip(self.texts, self.gold, self.predicted, strict=True):
            score = min((score for _, score in found), default=1.0)
            yield text, format_spans(gold), format_spans(span for span, _ in found), score

    # ---- what a report shows
    def example_metric(self) -> ExampleMetric:
        """Return the share of texts whose entities are all right."""
        right, given, wanted = self.counts.T
        return ExampleMetric("exact_match", ((right == given) & (right == wanted)).astype(float))

    def intervals(self) -> dict[str, Interval]:
        """Intervals of precision, recall and F1."""
        return count_intervals(*self.counts.T)

    def class_intervals(self) -> Sequence[Interval | None]:
        """The interval of each type's F1."""
        kinds = [str(row["label"]) for row in self.per_class]
        return [count_intervals(*self._only(kind).counts.T).get("f1") for kind in kinds]

    def _only(self, kind: str) -> TagEvaluation:
        """The evaluation of one type's entities."""
        entity = self.outputs["entity"]
        kept = np.where(entity == kind, entity, "")
        gold = [[span for span in spans if span.type == kind] for spans in self.gold]
        return replace(self, gold=gold, outputs={**self.outputs, "entity": kept})

    def calibration(self, settings: Mapping[str, Any] | None = None) -> Calibration:
        """Compare the scores of the predicted entities with the share of right ones."""
        scores, right = [], []
        for text, gold, found in zip(self.texts, self.gold, self.predicted, strict=True):
            cores = {trim_span(span, text) for span in gold}
            scores += [score for _, score in found]
            right += [trim_span(span, text) in cores for span, _ in found]
        return Calibration(reliability(np.array(scores), np.array(right, bool)))

    def mistakes_section(self) -> Mistakes:
        """Return wrong and missed entities in excerpts of their texts."""
        rows = zip(self.texts, self.gold, self.predicted, strict=True)
        return show_mistakes(self.mistakes(most=10**9), rows)


def rate(right: int, found: int, gold: int) -> tuple[float, float, float]:
    """Compute precision, recall and F1; 0 without predicted or gold entities, as in seqeval."""
    precision = right / found if found else 0.0
    recall = right / gold if gold else 0.0
    return precision, recall, 2 * right / (found + gold) if found + gold else 0.0


def _show(span: Span, text: str) -> str:
    return f"{span.type}: {text[span.start : span.end]}"
