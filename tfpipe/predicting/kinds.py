"""What models of each kind read and answer, and how that is written as columns of a file."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from tfpipe.data.spans import Span, format_spans

# The columns to write by name, each [B], and `scores` float32 [B, K], or of B lists.
Answers: TypeAlias = "dict[str, np.ndarray]"
Outputs: TypeAlias = "Mapping[str, np.ndarray]"
Names: TypeAlias = "Sequence[str] | None"
TEXTS = (("text",), ("text", "text_pair"))


@dataclass(frozen=True)
class Kind:
    """Models with the same outputs.

    verb: of serving.client; inputs: what they may read, names of columns of text; outputs: of
    serving_default; columns: of the file, each an entry of what `write` makes of the outputs and
    of the label names; scores_of: what has a score each beside those columns: a `label` of the
    model, an `entity` of the row, or nothing.
    """

    verb: str
    inputs: Sequence[Sequence[str]]
    outputs: Sequence[str]
    columns: Sequence[str]
    write: Callable[[Outputs, Names], Answers]
    scores_of: str | None = None

    def order(self, inputs: Collection[str]) -> Sequence[str]:
        """A model's inputs in the order of a row's texts; raises KeyError for another kind's."""
        return {frozenset(names): names for names in self.inputs}[frozenset(inputs)]


def _write_labels(found: Outputs, _: Names) -> Answers:
    return {**found, "label": _decode(found["label"].tolist())}


def _write_label_sets(found: Outputs, names: Names) -> Answers:
    """As in predictions.tsv: labels joined by bars, and the least sure decision's probability."""
    scores, active = found["scores"], found["active"]
    # Without names there are the numbers of the columns.
    shown = list(map(str, range(scores.shape[1]))) if names is None else names
    joined = ["|".join(shown[column] for column in np.flatnonzero(row).tolist()) for row in active]
    certainty = np.where(active, scores, np.float32(1.0) - scores)
    return {
        "label": np.array(joined, object),
        "score": certainty.min(axis=1, initial=1.0),
        "scores": scores,
    }


def _write_values(found: Outputs, _: Names) -> Answers:
    return {"value": found["value"]}


def _write_entities(found: Outputs, _: Names) -> Answers:
    """As in predictions.tsv: entities as a data file's label, and the least sure one's score."""
    columns = [found[name].tolist() for name in ("start", "end", "entity", "score")]
    labels: list[str] = []
    scores: list[list[float]] = []
    for row in zip(*columns, strict=True):
        # Rows are filled up to the one with the most entities.
        used = [place for place in zip(*row, strict=True) if place[2]]
        kinds = _decode(kind for _, _, kind, _ in used)
        spans = zip(used, kinds, strict=True)
        labels.append(format_spans(Span(start, end, kind) for (start, end, *_), kind in spans))
        scores.append([score for *_, score in used])
    least = [min(of_row, default=1.0) for of_row in scores]
    return {
        "label": np.array(labels, object),
        "score": np.array(least, np.float32),
        "scores": np.fromiter(scores, object, len(scores)),
    }


def _write_answers(found: Outputs, _: Names) -> Answers:
    return {**found, "answer": _decode(found["answer"].tolist())}


def _decode(texts: Iterable[str | bytes]) -> np.ndarray:
    decoded = [t.decode("utf-8", "replace") if isinstance(t, bytes) else t for t in texts]
    return np.array(decoded, object)


# What comes first wins: a classifier has scores, too.
KINDS = (
    Kind(
        "classify",
        TEXTS,
        ("label", "score", "scores"),
        ("label", "score"),
        _write_labels,
        scores_of="label",
    ),
    Kind(
        "multilabel",
        TEXTS,
        ("scores", "active"),
        ("label", "score"),
        _write_label_sets,
        scores_of="label",
    ),
    Kind("regress", TEXTS, ("value",), ("value",), _write_values),
    Kind(
        "tag",
        TEXTS[:1],
        ("entity", "start", "end", "score"),
        ("label", "score"),
        _write_entities,
        scores_of="entity",
    ),
    Kind(
        "answer",
        (("question", "context"),),
        ("answer", "start", "end", "score"),
        ("answer", "start", "end", "score"),
        _write_answers,
    ),
)


def kind_of(inputs: Collection[str], outputs: Collection[Any]) -> Kind | None:
    """The kind that reads and gives these; None for one that cannot be asked or written down."""
    fitting = (kind for kind in KINDS if {*kind.outputs} <= {*outputs})
    return next((kind for kind in fitting if {*inputs} in map(set, kind.inputs)), None)
