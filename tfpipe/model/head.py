"""Kinds of heads: the TFBert class, the fast graph's method and the entries of config.json."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import tensorflow as tf

from tfpipe.model.encoder import FIRST, Encoder, pooling_of
from tfpipe.model.transformers_classes import (
    TFBertForQuestionAnswering,
    TFBertForSequenceClassification,
    TFBertForTokenClassification,
)


@dataclass(frozen=True)
class HeadKind:
    """The properties of a kind of head.

    Attributes:
        tf_class: The transformers class; its name without TF is the architecture in config.json.
        layer: Name of its output layer, a Keras Dense.
        compute: The method of the fast graph that computes the logits.
        per_token: Whether there is an output for each token.
        of_stock: Gets the logits from the output of `tf_class`.
    """

    tf_class: Any
    layer: str
    compute: Callable[..., tf.Tensor]
    per_token: bool = True
    of_stock: Callable[[Any], tf.Tensor] = lambda output: output.logits

    @property
    def architecture(self) -> str:
        """The entry of `architectures` in config.json."""
        return self.tf_class.__name__.removeprefix("TF")


HEADS = {
    "sequence": HeadKind(
        TFBertForSequenceClassification, "classifier", Encoder.logits, per_token=False
    ),
    "token": HeadKind(TFBertForTokenClassification, "classifier", Encoder.token_logits),
    "span": HeadKind(
        TFBertForQuestionAnswering,
        "qa_outputs",
        Encoder.span_logits,
        of_stock=lambda output: tf.stack([output.start_logits, output.end_logits], axis=-1),
    ),
}


@dataclass(frozen=True)
class Head:
    """The output layer of a model.

    Attributes:
        kind: `sequence` (logits [B, K] of the pooled text), `token` ([B, L, K]) or `span`
            ([B, L, 2], the answer's first and last token); a key of HEADS.
        problem_type: As transformers names it; None beside `sequence`.
        settings: The task's settings under `tfpipe` in config.json.
        pooling: What a `sequence` head reads, FIRST or MEAN.
    """

    kind: str = "sequence"
    problem_type: str | None = "single_label_classification"
    settings: Mapping[str, Any] = field(default_factory=dict)
    pooling: str = FIRST

    @classmethod
    def of(cls, config: Any) -> Head:
        """Read the head from a BertConfig; `sequence` for an unknown architecture."""
        kinds = {head.architecture: kind for kind, head in HEADS.items()}
        name = config.architectures[0] if config.architectures else ""
        kind = kinds.get(name.removeprefix("TF"), "sequence")
        problem_type = config.problem_type
        if kind == "sequence" and problem_type is None:
            problem_type = "single_label_classification"
        pooling = pooling_of(config) if kind == "sequence" else FIRST
        return cls(kind, problem_type, dict(getattr(config, "tfpipe", None) or {}), pooling)

    def write(self, config: Any) -> None:
        """Write the head into a BertConfig."""
        config.architectures = [HEADS[self.kind].architecture]
        config.problem_type = self.problem_type
        config.pooling = self.pooling
        config.tfpipe = dict(self.settings)

    @property
    def tf_class(self) -> Any:
        """The transformers class of a model with this head."""
        return HEADS[self.kind].tf_class

    @property
    def per_token(self) -> bool:
        """Whether there is an output for each token."""
        return HEADS[self.kind].per_token

    def dense(self, bert: Any) -> Any:
        """Return the head's Keras layer of a TFBert model."""
        return getattr(bert, HEADS[self.kind].layer)

    def of_encoder(self, encoder: Encoder) -> Callable[..., tf.Tensor]:
        """Return the method of a fast graph that computes the logits."""
        return functools.partial(HEADS[self.kind].compute, encoder)

    def of_stock(self, output: Any) -> tf.Tensor:
        """Get the logits from the output of the transformers model."""
        return HEADS[self.kind].of_stock(output)
