"""Evaluation of vectors: what a search finds, and the order of graded pairs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.stats import rankdata

from tfpipe.data.examples import Examples
from tfpipe.stats.bootstrap import Interval, bootstrap
from tfpipe.stats.weighted_metrics import (
    Statistics,
    joined,
    midranks,
    ratios_of,
    weighted_pearson,
)
from tfpipe.tasks.embed.ranking import DEPTH, Ranking, rank
from tfpipe.tasks.evaluation import (
    MOST_MISTAKES,
    ExampleMetric,
    Mistake,
    TaskEvaluation,
    plain_rows,
)
from tfpipe.tasks.sections import Mistakes, Projection, Scatter

# A pair is one of similar texts from this share of the highest similarity on.
SIMILAR = 0.8
MOST_PROJECTED = 500


@dataclass(frozen=True)
class EmbedEvaluation(TaskEvaluation):
    """The vectors of N examples.

    A question is the first text of a pair, or a single text. It is searched for in the pool: the
    second texts of all pairs, equal ones once, or the other single texts. Right are the second
    texts of all pairs with this first text (of graded pairs: of those that are similar), or the
    texts with the same label.

    Attributes:
        texts: The examples as one string each.
        examples: The N examples.
        targets: The columns of labelled_pairs.targets_of.
        vectors: float32 [N, H] of single texts; [2 N, H] of pairs, whose two texts follow each
            other.
        loss: Mean loss, in groups of 256 texts.
    """

    texts: Sequence[str]
    examples: Examples
    targets: Mapping[str, np.ndarray]
    vectors: np.ndarray
    loss: float

    @property
    def outputs(self) -> Mapping[str, np.ndarray]:
        """What serving_default answers to the texts, each once."""
        return {"embedding": self.vectors[np.unique(self.targets["text"], return_index=True)[1]]}

    @property
    def _pairs(self) -> bool:
        return self.examples.text_pairs is not None

    @cached_property
    def similarity(self) -> np.ndarray | None:
        """float64 [N]: the graded similarity of each pair; None for others."""
        graded = self.targets.get("similarity")
        return None if graded is None else graded[::2].astype(np.float64)

    @cached_property
    def cosine(self) -> np.ndarray:
        """float64 [N]: the cosine of the two vectors of each pair."""
        one, other = self.vectors[0::2], self.vectors[1::2]
        return (one.astype(np.float64) * other).sum(axis=1)

    @cached_property
    def asked(self) -> np.ndarray:
        """Bool [N]: the examples whose question has a right answer by its label."""
        if self.similarity is None:
            return np.ones(len(self.texts), bool)
        highest = 5.0 if self.similarity.max(initial=0.0) > 1.0 else 1.0
        return self.similarity >= SIMILAR * highest

    @cached_property
    def _pool(self) -> np.ndarray:
        """Int [P]: the inputs whose texts are the pool."""
        searched = np.arange(int(self._pairs), len(self.vectors), 1 + self._pairs)
        return searched[np.unique(self.targets["text"][searched], return_index=True)[1]]

    @cached_property
    def ranking(self) -> Ranking:
        """Where each question finds its right answers."""
        text, pool = self.targets["text"], self._pool
        step = 1 + self._pairs
        questions = text[::step]
        labels = self.targets.get("label")
        entry_of = np.searchsorted(text[pool], text[step - 1 :: step])
        rights: dict[int, list[int]] = {}
        for row in np.flatnonzero(self.asked).tolist() if self._pairs else ():
            rights.setdefault(int(questions[row]), []).append(int(entry_of[row]))

        def compare(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            itself = questions[rows, np.newaxis] == text[pool]
            if not self._pairs:
                assert labels is not None
                return (labels[rows, np.newaxis] == labels[pool]) & ~itself, itself
            right = np.zeros(itself.shape, bool)
            for place, row in enumerate(rows):
                right[place, rights.get(int(questions[row]), [])] = True
            return right, np.zeros_like(right)

        return rank(self.vectors[::step], self.vectors[pool], compare)

    @cached_property
    def per_question(self) -> Mapping[str, np.ndarray]:
        """Float [N]: the value of each ranking metric."""
        place = self.ranking.place
        found = place > 0
        within = found & (place <= DEPTH)
        return {
            "mrr_at_10": np.where(within, 1 / np.maximum(place, 1), 0.0),
            "recall_at_1": (place == 1).astype(float),
            "recall_at_5": (found & (place <= 5)).astype(float),
            "ndcg_at_10": self.ranking.gain * found,
        }

    @property
    def statistics(self) -> Statistics:
        """The metrics over resamples of the N examples."""
        asked = self.asked.astype(float)
        columns = {name: (values * asked, asked) for name, values in self.per_question.items()}
        ranked = ratios_of(**columns)
        gold = self.similarity
        if gold is None:
            return ranked

        def spearman(weights: np.ndarray) -> dict[str, np.ndarray]:
            drawn = np.asarray(weights, np.float64)
            ranks = (midranks(one, drawn) for one in (gold, self.cosine))
            return {"spearman": weighted_pearson(drawn, *ranks)}

        return joined(spearman, ranked)

    @cached_property
    def metrics(self) -> dict[str, float]:
        """The metrics of metrics.json."""
        found = self.statistics(np.ones((1, len(self.texts))))
        values = {name: float(value[0]) for name, value in found.items()}
        return {**values, "loss": self.loss, "examples": len(self.texts)}

    @cached_property
    def error(self) -> np.ndarray:
        """Float [N]: 1 less the reciprocal place; of graded pairs how far their order is off.

        The latter is the difference of the shares of pairs that are less similar by the label and
        by the cosine.
        """
        if self.similarity is None:
            return 1.0 - self.per_question["mrr_at_10"]
        ranks = (rankdata(values) / len(self.texts) for values in (self.similarity, self.cosine))
        return np.abs(np.subtract(*ranks))

    def rows(self) -> Iterator[tuple[str, str, str, float]]:
        """Yield the question, its right answer, the first answer, and the cosine of the latter.

        Of single texts the answers are the labels; graded pairs have the similarity, the cosine,
        and `error`.
        """
        if self.similarity is not None:
            columns = (self.texts, self.similarity, self.cosine, self.error)
            for text, gold, cosine, error in zip(*columns, strict=True):
                yield text, f"{gold:.6g}", f"{cosine:.6g}", float(error)
            return
        examples, first = self.examples, self._pool[self.ranking.first]
        gold, step = examples.text_pairs or examples.labels or (), 1 + self._pairs
        for row, score in enumerate(self.ranking.score.tolist()):
            yield examples.texts[row], gold[row], gold[int(first[row]) // step], score

    def mistakes(self, most: int) -> list[Mistake]:
        """List the questions whose right answer is furthest from the first place."""
        far = self.error if self.similarity is not None else self.ranking.place
        wrong = np.flatnonzero(far > (self.similarity is None))
        worst = wrong[np.argsort(-far[wrong], kind="stable")][:most]
        rows = [*self.rows()]
        return [Mistake(*rows[i]) for i in worst.tolist()]

    # ---- what a report shows
    def example_metric(self) -> ExampleMetric | None:
        """The reciprocal place of each question; None for graded pairs."""
        if self.similarity is not None:
            return None
        return ExampleMetric("mrr_at_10", self.per_question["mrr_at_10"])

    def intervals(self) -> dict[str, Interval]:
        """Intervals of all metrics but the loss."""
        return bootstrap(self.statistics, len(self.texts))

    def scatter(self) -> Scatter | None:
        """Similarities and cosines of graded pairs."""
        return None if self.similarity is None else Scatter(self.similarity, self.cosine)

    def mistakes_section(self) -> Mistakes:
        """Return the questions that find another text first, or the pairs that are furthest off."""
        rows = plain_rows(self.mistakes(MOST_MISTAKES))
        if self.similarity is not None:
            return Mistakes(rows, None, "furthest")
        return Mistakes(rows, int((self.ranking.place != 1).sum()), "worst")

    def projection(self) -> Projection:
        """Return the vectors of the first texts, with the texts and what they are to be near to."""
        step = 1 + self._pairs
        vectors = self.vectors[: MOST_PROJECTED * step : step]
        shown = [row[:2] for row, _ in zip(self.rows(), vectors, strict=False)]
        return Projection(vectors, ("text", "gold"), shown)
