"""Result of a comparison: the better model, if the difference is significant; JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from tfpipe.comparing.changes import Change, LabelChange, count_kinds
from tfpipe.stats.bootstrap import Difference
from tfpipe.stats.mcnemar import Agreement


@dataclass(frozen=True)
class Comparison:
    """Comparison of two models on the same labelled texts.

    Attributes:
        a: Folder of A.
        b: Folder of B.
        data: File of the texts.
        texts: Number of texts.
        confidence: Confidence of the intervals.
        differences: Of each metric; the task's main metric comes first.
        agreement: Counts of texts that both, one or neither answers correctly.
        changes: Texts with different answers.
        labels: Changes of the metrics of labels.
        notes: Reservations about the metrics, one sentence each.
        quality: Name of the quality of an answer in `changes`.
        graded: Whether wrong answers can be more or less wrong.
        trained_on: Number of the texts that `A` and `B` were trained on; None where unknown.
    """

    a: str
    b: str
    data: str
    texts: int
    confidence: float
    differences: Sequence[Difference]
    agreement: Agreement
    changes: Sequence[Change]
    labels: Sequence[LabelChange]
    notes: Sequence[str]
    quality: str = "score of the gold label"
    graded: bool = False
    trained_on: Mapping[str, int | None] = field(default_factory=dict)

    @property
    def better(self) -> str | None:
        """`A`, `B`, or None where the difference is not significant.

        The interval of the task's main metric must exclude zero. With few texts on which the models
        differ it is too narrow, so the exact test must agree; where wrong answers can be more or
        less wrong, it need only be able to reach significance, for it then tests another hypothesis
        than the metric does. And the lead must exceed the texts that the better model alone was
        trained on.
        """
        leader = self.differences[0].better
        if not self.changes or self._may_be_chance or self._may_be_memorised(leader):
            return None
        return leader

    @property
    def _may_be_chance(self) -> bool:
        """Whether the exact test does not exclude chance."""
        p = self.agreement.least_p_value if self.graded else self.agreement.p_value
        return p >= 1 - self.confidence

    def _may_be_memorised(self, leader: str | None) -> bool:
        """Return whether texts that only the leader was trained on may explain its lead."""
        if leader is None:
            return False
        other = "A" if leader == "B" else "B"
        more = (self.trained_on.get(leader) or 0) - (self.trained_on.get(other) or 0)
        return more >= max(abs(self.agreement.only_a - self.agreement.only_b), 1)

    @property
    def verdict(self) -> str:
        """The result in one sentence."""
        if not self.changes:
            return f"A and B give the same answers to all {self.texts:,} texts"
        first = self.differences[0]
        measured = (
            f"{metric_title(first.name)} {first.value:+.3f} from A to B,"
            f" {self.confidence * 100:g} % interval {first.low:+.3f} to {first.high:+.3f}"
        )
        if self.better:
            return f"{self.better} is better: {measured}"
        if not first.better:
            return f"{self.texts:,} texts do not show which is better: {measured}"
        why = f"but p = {self.agreement.p_value:.2g} in the exact test"
        if self._may_be_memorised(first.better):
            why = f"but {first.better} was trained on them"
        return f"these texts do not show which is better: {measured}, {why}"

    def as_json(self, show: int) -> dict[str, Any]:
        """Return one JSON object, with the first `show` changed texts."""
        metrics = {
            one.name: {"difference": _finite(one.value), "better": one.better}
            | {name: _finite(value) for name, value in asdict(one).items() if name != "name"}
            for one in self.differences
        }
        return {
            "better": self.better,
            "verdict": self.verdict,
            "notes": list(self.notes),
            "trained_on": dict(self.trained_on),
            **{name: getattr(self, name) for name in ("a", "b", "data", "texts", "confidence")},
            "figures": metrics,
            "right": asdict(self.agreement) | {"p_value": self.agreement.p_value},
            "changed": count_kinds(self.changes),
            "quality": self.quality,
            "changes": [asdict(change) for change in self.changes[:show]],
            "labels": [asdict(label) for label in self.labels],
        }


def metric_title(name: str) -> str:
    """Return a metric's name for display: `macro F1`."""
    return name.replace("_", " ").replace("f1", "F1")


def _finite(value: Any) -> Any:
    """Return None in place of NaN, which JSON does not have."""
    return None if isinstance(value, float) and math.isnan(value) else value
