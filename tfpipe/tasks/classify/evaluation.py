"""Evaluation of single-label classification."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy.special import softmax

from tfpipe.stats.bootstrap import Interval
from tfpipe.stats.label_scores import LabelScores
from tfpipe.stats.metric_intervals import class_intervals, interval_of_mean
from tfpipe.tasks.calibration.abstention_target import ABSTAIN
from tfpipe.tasks.calibration.risk_coverage import Answered, risk_coverage
from tfpipe.tasks.calibration.selective import LEAST_OUTSIDE, held_out_metrics, selective_metrics
from tfpipe.tasks.calibration.temperature import cross_fitted_scores, reliability
from tfpipe.tasks.classify.confusion import worst_pairs
from tfpipe.tasks.classify.label_errors import find_suspects
from tfpipe.tasks.evaluation import (
    MOST_MISTAKES,
    ExampleMetric,
    Mistake,
    TaskEvaluation,
    plain_rows,
)
from tfpipe.tasks.sections import (
    Abstention,
    Baseline,
    Calibration,
    Confusion,
    Mistakes,
    PairRow,
)

MOST_PAIRS = 20
MOST_SUSPECTS = 20
MOST_CURVE_POINTS = 500


@dataclass(frozen=True)
class ClassificationEvaluation(TaskEvaluation):
    """Scores of N labelled texts over K labels.

    Metrics by label are those of the label with the highest score, held back or not.

    Attributes:
        texts: The N texts (pairs joined by " | ").
        label_names: The K names in column order.
        gold: int [N], columns.
        scores: float32 [N, K], probabilities.
        loss: Mean cross-entropy in nats.
        abstain_below: The score below which the model abstains, None where it never does.
        outside: The column of the label for texts that no other label fits, None for none.
    """

    texts: Sequence[str]
    label_names: Sequence[str]
    gold: np.ndarray
    scores: np.ndarray
    loss: float
    abstain_below: float | None = None
    outside: int | None = None

    @cached_property
    def answered(self) -> Answered:
        """The labels and scores, before any answer is held back."""
        return Answered(self.score, self.predicted, self.gold, self.outside)

    @cached_property
    def labels(self) -> np.ndarray:
        """The answers, str [N]; `__abstain__` for no answer."""
        names = np.array([*self.label_names, ABSTAIN])
        if self.abstain_below is None:
            return names[self.predicted]
        given = self.score >= np.float32(self.abstain_below)
        if self.outside is not None:
            given &= self.predicted != self.outside
        return names[np.where(given, self.predicted, -1)]

    @cached_property
    def predicted(self) -> np.ndarray:
        """The column of the highest score, int [N]."""
        return self.scores.argmax(axis=1)

    @cached_property
    def score(self) -> np.ndarray:
        """The highest score of each text, float32 [N]."""
        return self.scores.max(axis=1)

    @cached_property
    def majority(self) -> int:
        """The column of the label that most of the texts have, the first of equals."""
        return int(np.bincount(self.gold, minlength=len(self.label_names)).argmax())

    @cached_property
    def confusion(self) -> np.ndarray:
        """The confusion matrix, int [K, K]: rows gold, columns predicted."""
        labels = len(self.label_names)
        cells = np.bincount(self.gold * labels + self.predicted, minlength=labels**2)
        return cells.reshape(labels, labels)

    @cached_property
    def _label_scores(self) -> LabelScores:
        return LabelScores.of_confusion(self.confusion)

    @cached_property
    def metrics(self) -> dict[str, float]:
        """The metrics of metrics.json; F1 is averaged over the labels that occur."""
        return {
            "accuracy": float((self.gold == self.predicted).mean()),
            "macro_f1": self._label_scores.macro_f1,
            "weighted_f1": self._label_scores.weighted_f1,
            "loss": self.loss,
            "examples": len(self.gold),
            **self._abstention(),
        }

    def _abstention(self) -> dict[str, float]:
        if self.abstain_below is None:
            return {}
        found = selective_metrics(self.answered, self.abstain_below)
        named = {
            "coverage": found.coverage,
            "selective_accuracy": found.selective_accuracy,
            "in_scope_accuracy": found.in_scope_accuracy,
            "out_of_scope_recall": found.out_of_scope_recall,
        }
        return {name: value for name, value in named.items() if value is not None}

    @property
    def outputs(self) -> Mapping[str, np.ndarray]:
        """What serving_default answers to the texts."""
        return {"label": self.labels, "score": self.score, "scores": self.scores}

    def rows(self) -> Iterator[tuple[str, str, str, float]]:
        """Yield text, gold label, answer, and its score."""
        columns = (self.texts, self.gold, self.labels.tolist(), self.score)
        for text, gold, predicted, score in zip(*columns, strict=True):
            yield text, self.label_names[gold], predicted, float(score)

    @cached_property
    def per_class(self) -> list[dict[str, float | str]]:
        """Precision, recall, F1 and support (gold rows) of every label, in column order."""
        return self._label_scores.rows(self.label_names)

    def mistakes(self, most: int) -> list[Mistake]:
        """List the wrong answers with the highest scores, most confident first."""
        wrong = np.flatnonzero(self.gold != self.predicted)
        wrong = wrong[np.argsort(-self.score[wrong], kind="stable")][:most]
        return [
            Mistake(
                self.texts[i],
                self.label_names[self.gold[i]],
                self.label_names[self.predicted[i]],
                float(self.score[i]),
            )
            for i in wrong.tolist()
        ]

    # ---- what a report shows
    def example_metric(self) -> ExampleMetric:
        """Accuracy."""
        return ExampleMetric("accuracy", (self.gold == self.predicted).astype(float))

    def intervals(self) -> dict[str, Interval]:
        """Intervals of accuracy, F1, loss, and of the metrics of held-back answers."""
        found, _ = class_intervals(self.confusion)
        own = self.scores[np.arange(len(self.gold)), self.gold]
        # The smallest float keeps a score that was rounded to 0 from costing without end.
        costs = -np.log(np.maximum(own.astype(float), np.finfo(np.float32).tiny))
        return {**found, **self._abstention_intervals(), "loss": interval_of_mean(costs)}

    def _abstention_intervals(self) -> dict[str, Interval]:
        if self.abstain_below is None:
            return {}
        answered = self.answered
        given = answered.score >= np.float32(self.abstain_below)
        inside, outside = ~answered.is_outside, answered.is_outside
        means = {
            "coverage": given,
            "selective_accuracy": answered.right[given],
            "in_scope_accuracy": (given & answered.right)[inside],
            "out_of_scope_recall": (~given | answered.says_outside)[outside],
        }
        return {name: interval_of_mean(values) for name, values in means.items() if len(values)}

    def class_intervals(self) -> Sequence[Interval | None]:
        """The interval of each label's F1."""
        return class_intervals(self.confusion)[1]

    def taken_for(self) -> Mapping[int, tuple[str, int]]:
        """By label: the one most often given instead, and how often."""
        taken_for: dict[int, tuple[str, int]] = {}
        # Pairs come worst first, so that the first one of a gold label is its worst.
        for pair in worst_pairs(self.confusion):
            taken_for.setdefault(pair.gold, (self.label_names[pair.predicted], pair.count))
        return taken_for

    def mistakes_section(self) -> Mistakes:
        """The most confident mistakes."""
        wrong = int((self.gold != self.predicted).sum())
        return Mistakes(plain_rows(self.mistakes(MOST_MISTAKES)), wrong, "confident")

    def calibration(self, settings: Mapping[str, Any] | None = None) -> Calibration:
        """Compare scores with the share of right answers, with the temperature and before it.

        Each score is computed with a temperature fitted on other texts: on those that it was fitted
        on, a temperature is too good.
        """
        temperature = (settings or {}).get("temperature", 1.0)
        right = self.gold == self.predicted
        if temperature == 1.0:
            return Calibration(reliability(self.score, right))
        # softmax(logits / T) is known, so that its logarithm times T differs from the logits by a
        # constant of the row.
        smallest = np.finfo(float).tiny
        logits = np.log(np.maximum(self.scores.astype(float), smallest)) * temperature
        scores = cross_fitted_scores(logits, self.gold)
        raw = reliability(softmax(logits, axis=1).max(axis=1), right)
        return Calibration(reliability(scores.max(axis=1), right), temperature, raw.error)

    def abstention(self, test: TaskEvaluation | None = None) -> Abstention | None:
        """Return costs and gains of abstention; None without a threshold."""
        threshold, answered = self.abstain_below, self.answered
        if threshold is None:
            return None
        curve = risk_coverage(answered)
        shown = np.unique(np.linspace(0, len(curve.coverage) - 1, MOST_CURVE_POINTS).astype(int))
        enough = LEAST_OUTSIDE <= answered.is_outside.sum() < len(answered.gold)
        of_test = test.answered if isinstance(test, ClassificationEvaluation) else None
        return Abstention(
            curve.coverage[shown],
            curve.risk[shown],
            threshold,
            selective_metrics(answered, threshold),
            None if self.outside is None else self.label_names[self.outside],
            held_out_metrics(answered) if enough else None,
            None if of_test is None else selective_metrics(of_test, threshold),
        )

    def confusion_section(self) -> Confusion:
        """Return the matrix and its worst pairs, each with its most confident text."""
        rows = []
        for pair in worst_pairs(self.confusion)[:MOST_PAIRS]:
            both = (self.gold == pair.gold) & (self.predicted == pair.predicted)
            surest = int(np.argmax(np.where(both, self.score, -1)))
            rows.append(
                PairRow(
                    self.label_names[pair.gold],
                    self.label_names[pair.predicted],
                    pair.count,
                    pair.count / pair.support,
                    self.texts[surest],
                )
            )
        return Confusion(self.label_names, self.confusion, rows)

    def majority_baseline(self) -> Baseline:
        """The accuracy of always answering the most frequent label."""
        share = float((self.gold == self.majority).mean()) if len(self.gold) else 0.0
        return Baseline(self.label_names[self.majority], "accuracy", share)

    def sections(
        self, test: TaskEvaluation | None = None, settings: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """All of the base class, and what only single labels have."""
        suspects = find_suspects(
            self.texts, self.label_names, self.gold, self.scores, MOST_SUSPECTS
        )
        return super().sections(test, settings) | {
            "baseline": self.majority_baseline(),
            "abstention": self.abstention(test),
            "suspects": suspects,
        }
