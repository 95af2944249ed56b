"""Evaluation of a model's answers to labelled examples: metrics, and sections of the report."""

from __future__ import annotations

import abc
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from tfpipe.stats.bootstrap import Interval
from tfpipe.tasks.sections import (
    Calibration,
    ClassRow,
    Confusion,
    MistakeRow,
    Mistakes,
    Projection,
    Scatter,
)

MOST_MISTAKES = 20


@dataclass(frozen=True)
class Mistake:
    """A text whose answer is not its gold; score: the answer's confidence, or its error."""

    text: str
    gold: str
    predicted: str
    score: float


@dataclass(frozen=True)
class ExampleMetric:
    """A metric that is the mean of one value an example, for slices and overlaps.

    Attributes:
        name: The metric's name.
        values: float [N].
        rising: Whether higher is better.
    """

    name: str
    values: np.ndarray
    rising: bool = True


class TaskEvaluation(abc.ABC):
    """Answers to N labelled examples.

    A task must give the abstract members. The others have defaults that leave a section out of the
    report.

    Attributes:
        texts: The examples as one string each.
        outputs: What serving_default answers to the examples.
        class_noun: What `per_class` has a row for.
        by_characters: Whether TensorBoard shows the metric by length of text.
    """

    texts: Sequence[str]
    class_noun: ClassVar[str] = "label"
    by_characters: ClassVar[bool] = False

    if TYPE_CHECKING:
        # At run time a dataclass would take the property for the default of its field.
        @property
        def outputs(self) -> Mapping[str, np.ndarray]:
            """Arrays as serving_default answers, by name."""

    @property
    @abc.abstractmethod
    def metrics(self) -> dict[str, float]:
        """The task's metrics, and `examples`."""

    @abc.abstractmethod
    def mistakes(self, most: int) -> list[Mistake]:
        """The worst answers, the worst first."""

    @abc.abstractmethod
    def rows(self) -> Iterable[tuple[str, str, str, float]]:
        """Yield text, gold, predicted and score of each example, for predictions.tsv."""

    # ---- what a report shows
    def example_metric(self) -> ExampleMetric | None:
        """One value an example; None where examples have none."""
        return None

    def intervals(self) -> dict[str, Interval]:
        """Bootstrap intervals by name of metric."""
        return {}

    def calibration(self, settings: Mapping[str, Any] | None = None) -> Calibration | None:
        """Compare scores with the share of right answers; None without scores.

        Args:
            settings: What the task has chosen on dev and keeps with the model.
        """
        return None

    def confusion_section(self) -> Confusion | None:
        """Return the confusion matrix; None unless an example has one label of several."""
        return None

    def scatter(self) -> Scatter | None:
        """Return gold and predicted numbers; None where answers are not numbers."""
        return None

    def projection(self) -> Projection | None:
        """Return vectors of texts; None where answers are none."""
        return None

    def mistakes_section(self) -> Mistakes:
        """The worst answers, and how many are wrong."""
        return Mistakes(plain_rows(self.mistakes(MOST_MISTAKES)), None, "worst")

    # ---- by class
    @property
    def per_class(self) -> Sequence[Mapping[str, Any]]:
        """`label`, `precision`, `recall`, `f1` and `support` (gold rows) of each class."""
        return ()

    def class_intervals(self) -> Sequence[Interval | None]:
        """The interval of each class's F1, in the order of `per_class`."""
        return [None] * len(self.per_class)

    def taken_for(self) -> Mapping[int, tuple[str, int]]:
        """By row of `per_class`: the class most often given instead, and how often."""
        return {}

    def class_rows(
        self,
        test: TaskEvaluation | None = None,
        thresholds: Sequence[float] | None = None,
        with_intervals: bool = True,
    ) -> list[ClassRow]:
        """List the classes from the worst F1 to the best, those without any example last."""
        table = self.per_class
        intervals = self.class_intervals() if with_intervals else [None] * len(table)
        taken_for = self.taken_for()
        of_test = test.per_class if test else ()
        test_f1 = {row["label"]: float(row["f1"]) for row in of_test if row["support"]}
        rows = [
            ClassRow(
                str(row["label"]),
                float(row["precision"]),
                float(row["recall"]),
                float(row["f1"]),
                int(row["support"]),
                intervals[column],
                test_f1.get(row["label"]),
                taken_for.get(column),
                None if thresholds is None else float(thresholds[column]),
            )
            for column, row in enumerate(table)
        ]
        return sorted(rows, key=lambda row: (row.support == 0, row.f1, -row.support))

    def sections(
        self, test: TaskEvaluation | None = None, settings: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return the fields of report.page.Report that the evaluation of dev fills.

        Args:
            test: The evaluation of test.
            settings: As in `calibration`; `thresholds` are those of `per_class`.
        """
        settings = settings or {}
        classes = self.class_rows(test, settings.get("thresholds"))
        return {
            "mistakes": self.mistakes_section(),
            "calibration": self.calibration(settings),
            "label_count": len(classes),
            "classes": classes,
            "confusion": self.confusion_section(),
            "scatter": self.scatter(),
        }


def plain_rows(mistakes: Iterable[Mistake]) -> list[MistakeRow]:
    """Convert mistakes to rows of the report that show the whole text."""
    return [MistakeRow(one.text, one.gold, one.predicted, one.score) for one in mistakes]
