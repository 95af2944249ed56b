"""A comparison in plain words and as JSON: which model is better, if these texts tell."""

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
    """All that is told of two models on the same labelled texts.

    a, b: their folders; data: where the texts are from; confidence: share of the intervals;
    differences: of each figure, the task's first one first; notes: what the reader must know before
    believing them; quality: what that of the changes is; graded: whether wrong answers can be more
    or less so; trained_on: how many of the texts `A` and `B` were trained on, None where that
    cannot be known.
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
        """`A`, `B`, or None where these texts do not tell.

        The interval of the task's first figure must leave out zero. With few texts that tell the
        models apart it is too narrow, so the exact test must agree; where wrong answers can be more
        or less so, it need only be able to, for it then asks another question than the figure does.
        And the lead must be larger than what the better one may have learnt by heart.
        """
        leader = self.differences[0].better
        if not self.changes or self._is_chance or self._is_learnt_by_heart(leader):
            return None
        return leader

    @property
    def _is_chance(self) -> bool:
        p = self.agreement.least_p_value if self.graded else self.agreement.p_value
        return p >= 1 - self.confidence

    def _is_learnt_by_heart(self, leader: str | None) -> bool:
        """Whether the texts that it alone was trained on may explain a model's lead."""
        if leader is None:
            return False
        other = "A" if leader == "B" else "B"
        more = (self.trained_on.get(leader) or 0) - (self.trained_on.get(other) or 0)
        return more >= max(abs(self.agreement.only_a - self.agreement.only_b), 1)

    @property
    def verdict(self) -> str:
        """One sentence."""
        if not self.changes:
            return f"A and B give the same answers to all {self.texts:,} texts"
        first = self.differences[0]
        told = (
            f"{metric_title(first.name)} {first.value:+.3f} from A to B,"
            f" {self.confidence * 100:g} % interval {first.low:+.3f} to {first.high:+.3f}"
        )
        if self.better:
            return f"{self.better} is better: {told}"
        if not first.better:
            return f"it cannot be told which is better from {self.texts:,} texts: {told}"
        why = f"but p = {self.agreement.p_value:.2g} in the exact test"
        if self._is_learnt_by_heart(first.better):
            why = f"but {first.better} was trained on them"
        return f"these texts do not tell which is better: {told}, {why}"

    def as_json(self, show: int) -> dict[str, Any]:
        """Everything for one JSON object, of the changed texts the first `show`."""
        figures = {
            one.name: {"difference": _known(one.value), "better": one.better}
            | {name: _known(value) for name, value in asdict(one).items() if name != "name"}
            for one in self.differences
        }
        return {
            "better": self.better,
            "verdict": self.verdict,
            "notes": list(self.notes),
            "trained_on": dict(self.trained_on),
            **{name: getattr(self, name) for name in ("a", "b", "data", "texts", "confidence")},
            "figures": figures,
            "right": asdict(self.agreement) | {"p_value": self.agreement.p_value},
            "changed": count_kinds(self.changes),
            "quality": self.quality,
            "changes": [asdict(change) for change in self.changes[:show]],
            "labels": [asdict(label) for label in self.labels],
        }


def metric_title(name: str) -> str:
    """A figure's name as people write it."""
    return name.replace("_", " ").replace("f1", "F1")


def _known(value: Any) -> Any:
    """JSON has no NaN."""
    return None if isinstance(value, float) and math.isnan(value) else value
