"""Kinds of heads: the TFBert class, the fast graph's method and the entries of config.json."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import tensorflow as tf

from tfpipe.model.encoder import FIRST, Encoder, pooling_of
from tfpipe.model.transformers_classes import (
    TFBertForMaskedLM,
    TFBertForQuestionAnswering,
    TFBertForSequenceClassification,
    TFBertForTokenClassification,
    TFBertModel,
)


@dataclass(frozen=True)
class HeadKind:
    """The properties of a kind of head.

    Attributes:
        tf_class: The transformers class; its name without TF is the architecture in config.json.
        layer: Name of its output layer, a Keras Dense; None for a head without one.
        compute: The method of the fast graph that computes the head's output.
        per_token: Whether there is an output for each token.
        pooled: Whether it reads the whole text, as the setting `pooling` says.
        of_stock: Gets the head's output from the output of `tf_class`.
        arguments: Of `tf_class`, beside the configuration.
    """

    tf_class: Any
    layer: str | None
    compute: Callable[..., tf.Tensor]
    per_token: bool = True
    pooled: bool = False
    of_stock: Callable[[Any], tf.Tensor] = lambda output: output.logits
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @property
    def architecture(self) -> str:
        """The entry of `architectures` in config.json."""
        return self.tf_class.__name__.removeprefix("TF")


HEADS = {
    "sequence": HeadKind(
        TFBertForSequenceClassification, "classifier", Encoder.logits, per_token=False, pooled=True
    ),
    "embedding": HeadKind(
        TFBertModel,
        None,
        Encoder.embeddings,
        per_token=False,
        pooled=True,
        of_stock=lambda output: tf.math.l2_normalize(output.last_hidden_state[:, 0], axis=1),
        arguments={"add_pooling_layer": False},
    ),
    "token": HeadKind(TFBertForTokenClassification, "classifier", Encoder.token_logits),
    "span": HeadKind(
        TFBertForQuestionAnswering,
        "qa_outputs",
        Encoder.span_logits,
        of_stock=lambda output: tf.stack([output.start_logits, output.end_logits], axis=-1),
    ),
}
# Of pretraining; it is no head of a task, and `Head.of` takes it for an unknown one.
MASKED = "masked"
KINDS = HEADS | {MASKED: HeadKind(TFBertForMaskedLM, None, Encoder.masked_logits)}


@dataclass(frozen=True)
class Head:
    """The output layer of a model.

    Attributes:
        kind: `sequence` (logits [B, K] of the pooled text), `embedding` ([B, H], the pooled
            vectors of the last layer at length 1), `token` ([B, L, K]) or `span` ([B, L, 2], the
            answer's first and last token); of HEADS; or MASKED
            ([M, V], the tokens that are masked).
        problem_type: As transformers names it; None beside `sequence`.
        settings: The task's settings under `tfpipe` in config.json.
        pooling: What a head for whole texts reads, FIRST or MEAN.
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
        pooling = pooling_of(config) if HEADS[kind].pooled else FIRST
        return cls(kind, problem_type, dict(getattr(config, "tfpipe", None) or {}), pooling)

    def write(self, config: Any) -> None:
        """Write the head into a BertConfig."""
        config.architectures = [KINDS[self.kind].architecture]
        config.problem_type = self.problem_type
        config.pooling = self.pooling
        config.tfpipe = dict(self.settings)

    def build(self, config: Any) -> Any:
        """Build the transformers model of a BertConfig, with random weights."""
        kind = KINDS[self.kind]
        return kind.tf_class(config, **kind.arguments)

    @property
    def per_token(self) -> bool:
        """Whether there is an output for each token."""
        return KINDS[self.kind].per_token

    @property
    def pooled(self) -> bool:
        """Whether it reads the whole text, as `pooling` says."""
        return KINDS[self.kind].pooled

    def dense(self, bert: Any) -> Any:
        """Return the head's Keras layer of a TFBert model; None for a head without one."""
        layer = KINDS[self.kind].layer
        return None if layer is None else getattr(bert, layer)

    @property
    def compute(self) -> Callable[..., tf.Tensor]:
        """The method of the fast graph that computes the head's output."""
        return KINDS[self.kind].compute

    def of_encoder(self, encoder: Encoder) -> Callable[..., tf.Tensor]:
        """Return the method of a fast graph that computes the head's output."""
        return functools.partial(self.compute, encoder)

    def of_stock(self, output: Any) -> tf.Tensor:
        """Get the head's output from that of the transformers model."""
        return KINDS[self.kind].of_stock(output)
