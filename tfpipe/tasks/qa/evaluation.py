"""Evaluation of extractive question answering."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from tfpipe.stats.bootstrap import Interval
from tfpipe.stats.metric_intervals import interval_of_mean
from tfpipe.tasks.calibration.temperature import reliability
from tfpipe.tasks.evaluation import MOST_MISTAKES, ExampleMetric, Mistake, TaskEvaluation
from tfpipe.tasks.qa.mistakes import show_mistakes
from tfpipe.tasks.qa.squad_metrics import score_answers, written_in_chinese
from tfpipe.tasks.sections import Calibration, Mistakes
from tfpipe.tasks.task import Outputs


@dataclass(frozen=True)
class QAEvaluation(TaskEvaluation):
    """Answers to N questions.

    Attributes:
        texts: Questions with their contexts.
        gold: The right answers, none where there is none.
        outputs: Of serving_default.
        loss: Mean over windows in nats, None where only answers are known.
    """

    by_characters: ClassVar[bool] = True

    texts: Sequence[str]
    gold: Sequence[Sequence[str]]
    outputs: Outputs
    loss: float | None = None

    @cached_property
    def predicted(self) -> list[str]:
        """The answers; an empty one is no answer."""
        answers = self.outputs["answer"].tolist()
        return [a.decode("utf-8", "replace") if isinstance(a, bytes) else a for a in answers]

    @cached_property
    def chinese(self) -> bool:
        """Whether the metrics are those of CMRC 2018, by the right answers' characters."""
        return written_in_chinese(answer for several in self.gold for answer in several)

    @cached_property
    def _scores(self) -> tuple[np.ndarray, np.ndarray]:
        return score_answers(self.predicted, self.gold, self.chinese)

    @property
    def exact(self) -> np.ndarray:
        """1 for an exact match, else 0: float [N]."""
        return self._scores[0]

    @property
    def f1(self) -> np.ndarray:
        """Overlap of each answer with the right one, float [N]."""
        return self._scores[1]

    @cached_property
    def metrics(self) -> dict[str, float]:
        """The metrics of metrics.json; also those of questions with and without answer alone."""
        metrics: dict[str, float] = {
            "exact_match": float(self.exact.mean()),
            "f1": float(self.f1.mean()),
            "examples": len(self.gold),
        }
        answerable = np.array([any(several) for several in self.gold])
        if not answerable.all():
            metrics["no_answer_accuracy"] = float(self.exact[~answerable].mean())
            if answerable.any():
                metrics["answerable_exact_match"] = float(self.exact[answerable].mean())
                metrics["answerable_f1"] = float(self.f1[answerable].mean())
        if self.loss is not None:
            metrics["loss"] = self.loss
        return metrics

    def mistakes(self, most: int) -> list[Mistake]:
        """List the answers without a right word, those with the highest scores first."""
        score = self.outputs["score"]
        wrong = np.flatnonzero(self.f1 == 0.0)
        wrong = wrong[np.argsort(-score[wrong], kind="stable")][:most]
        rows = list(self.rows())
        return [Mistake(*rows[i]) for i in wrong.tolist()]

    def rows(self) -> Iterator[tuple[str, str, str, float]]:
        """Yield text, gold answers, predicted answer and score of each question."""
        for text, gold, predicted, score in zip(
            self.texts, self.gold, self.predicted, self.outputs["score"].tolist(), strict=True
        ):
            yield text, " | ".join(dict.fromkeys(gold)), predicted, score

    # ---- what a report shows
    def example_metric(self) -> ExampleMetric:
        """F1 of each answer."""
        return ExampleMetric("f1", np.asarray(self.f1, float))

    def intervals(self) -> dict[str, Interval]:
        """Return the intervals of the metrics."""
        answerable = np.array([any(several) for several in self.gold])
        means = {
            "exact_match": self.exact,
            "f1": self.f1,
            "no_answer_accuracy": self.exact[~answerable],
            "answerable_exact_match": self.exact[answerable],
            "answerable_f1": self.f1[answerable],
        }
        known = self.metrics
        return {name: interval_of_mean(values) for name, values in means.items() if name in known}

    def calibration(self, settings: Mapping[str, Any] | None = None) -> Calibration:
        """Compare the scores of the answers with the share of right ones."""
        return Calibration(reliability(self.outputs["score"], self.exact == 1))

    def mistakes_section(self) -> Mistakes:
        """Return the answers without a right word, in their contexts."""
        rows = show_mistakes(self.mistakes(MOST_MISTAKES), self.texts, self.gold, self.outputs)
        return Mistakes(rows, int((self.f1 == 0).sum()), "answers")
