"""Answers of the task verbs, and their decoding from an exported model's outputs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from serving.client.tensor_codec import AnyArray, decode_tensor

Vector: TypeAlias = npt.NDArray[np.float32]
TEXT, REAL, WHOLE, TRUTH = "O", "f", "i", "b"


@dataclass(frozen=True, eq=False)
class Classification:
    """Classification of one text: best label, its probability, float32 `scores` [labels].

    Of an export of several adapters the label is `__unknown_adapter__`, and `scores` is empty,
    where it does not have the text's adapter.
    """

    label: str
    score: float
    scores: npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Labelling:
    """Multilabel classification of one text.

    Args:
        labels: All labels, in the order of the model's columns.
        scores: float32 [labels].
        active: bool [labels]: whether the score reaches the label's threshold.
    """

    labels: tuple[str, ...]
    scores: npt.NDArray[np.float32]
    active: npt.NDArray[np.bool_]

    @property
    def active_labels(self) -> list[str]:
        """Labels whose score reaches its threshold."""
        return [label for label, applies in zip(self.labels, self.active, strict=True) if applies]


@dataclass(frozen=True)
class Regression:
    """Regression of one text or pair of texts."""

    value: float

    def __float__(self) -> float:
        return self.value


@dataclass(frozen=True)
class Entity:
    """Entity `text[start:end]` (Unicode code points) of type `entity`."""

    entity: str
    start: int
    end: int
    score: float


@dataclass(frozen=True)
class Answer:
    """Extracted answer of a question: `context[start:end]` (Unicode code points)."""

    answer: str
    start: int
    end: int
    score: float


@dataclass(frozen=True)
class SearchResult:
    """Entry of an index that answers a text.

    Args:
        id: Its id in the table that the index was made of.
        answer: Its answer.
        score: 0 to 1; comparable between texts.
        payload: Its further columns by name, {} of a table that has none.
    """

    id: str
    answer: str
    score: float
    payload: dict[str, Any] = field(default_factory=dict)


def _decode(text: bytes) -> str:
    return text.decode("utf-8", "replace")


def _build_classifications(*columns: AnyArray) -> Iterator[Classification]:
    # Of several adapters, rows are padded with -1 to the most labels of one.
    widths = (columns[2] != -1.0).sum(axis=1).tolist()
    for label, score, scores, width in zip(*columns, widths, strict=True):
        yield Classification(_decode(label), float(score), scores[:width])


def _build_labellings(*columns: AnyArray, labels: tuple[str, ...]) -> Iterator[Labelling]:
    if columns[0].shape[1] != len(labels):
        raise ValueError(f"it has {columns[0].shape[1]} scores for {len(labels)} labels")
    for scores, active in zip(*columns, strict=True):
        yield Labelling(labels, scores, active)


def _build_regressions(values: AnyArray) -> Iterator[Regression]:
    return map(Regression, values.tolist())


def _build_entities(*columns: AnyArray) -> Iterator[list[Entity]]:
    for row in zip(*(column.tolist() for column in columns), strict=True):
        # Rows are padded to the longest of the batch.
        used = (cells for cells in zip(*row, strict=True) if cells[0])
        yield [Entity(_decode(entity), *rest) for entity, *rest in used]


def _build_answers(*columns: AnyArray) -> Iterator[Answer]:
    for answer, *rest in zip(*(column.tolist() for column in columns), strict=True):
        yield Answer(_decode(answer), *rest)


def _build_results(*columns: AnyArray) -> Iterator[list[SearchResult]]:
    for row in zip(*(column.tolist() for column in columns), strict=True):
        used = (cells for cells in zip(*row, strict=True) if cells[0])
        yield [
            SearchResult(_decode(entry), _decode(answer), score, *map(_read_payload, payload))
            for entry, answer, score, *payload in used
        ]


def _read_payload(content: bytes) -> dict[str, Any]:
    payload = json.loads(content)
    if not isinstance(payload, dict):
        raise ValueError(f"a payload is no JSON object: {content[:60]!r}")
    return payload


def _build_vectors(vectors: AnyArray) -> Iterator[Vector]:
    yield from vectors


@dataclass(frozen=True)
class AnswerDecoder:
    """Decoder of one task's outputs.

    Args:
        name: Noun phrase for messages.
        outputs: For each output its rank and numpy dtype kind.
        build: Makes answers from the output columns.
        optional: Those of `outputs`, the last, that a model may lack.
    """

    name: str
    outputs: dict[str, tuple[int, str]]
    build: Callable[..., Iterator[Any]]
    optional: tuple[str, ...] = ()

    @property
    def required(self) -> list[str]:
        """Names of the outputs that every model has."""
        return [name for name in self.outputs if name not in self.optional]

    def decode(self, outputs: Mapping[str, AnyArray], count: int, **more: Any) -> list[Any]:
        """Return `count` answers, one for each row.

        Raises:
            ValueError: The outputs are not those of this task.
        """
        names = [*self.required, *(name for name in self.optional if name in outputs)]
        columns = [outputs.get(name, np.empty(())) for name in names]
        found = [(column.ndim, column.dtype.kind) for column in columns]
        shapes = {column.shape for column in columns if column.ndim > 1}
        if (
            found != [self.outputs[name] for name in names]
            or any(len(column) != count for column in columns)
            or len(shapes) > 1
        ):
            shown = {name: array.shape for name, array in sorted(outputs.items())}
            raise ValueError(f"its outputs for {count} texts are {shown}")
        for column in columns:
            # Equal texts share one answer, so it must not be changed in place.
            column.flags.writeable = False
        return list(self.build(*columns, **more))


CLASSIFY = AnswerDecoder(
    "a text classifier",
    {"label": (1, TEXT), "score": (1, REAL), "scores": (2, REAL)},
    _build_classifications,
)
MULTILABEL = AnswerDecoder(
    "a multilabel classifier", {"scores": (2, REAL), "active": (2, TRUTH)}, _build_labellings
)
REGRESS = AnswerDecoder("a regression model", {"value": (1, REAL)}, _build_regressions)
TAG = AnswerDecoder(
    "a tagger",
    {"entity": (2, TEXT), "start": (2, WHOLE), "end": (2, WHOLE), "score": (2, REAL)},
    _build_entities,
)
ANSWER = AnswerDecoder(
    "a question answering model",
    {"answer": (1, TEXT), "start": (1, WHOLE), "end": (1, WHOLE), "score": (1, REAL)},
    _build_answers,
)
EMBED = AnswerDecoder("a model of vectors", {"embedding": (2, REAL)}, _build_vectors)

SEARCH = AnswerDecoder(
    "an index",
    {"id": (2, TEXT), "answer": (2, TEXT), "score": (2, REAL), "payload": (2, TEXT)},
    _build_results,
    optional=("payload",),
)


def read_outputs(response: Any) -> dict[str, AnyArray]:
    """Decode the tensors of a PredictResponse by name; raises ValueError for a malformed one."""
    return {name: decode_tensor(proto) for name, proto in response.outputs.items()}
