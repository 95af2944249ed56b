"""What stands on the encoder: which TFBert class it is, and what its config.json tells."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import tensorflow as tf

from tfpipe.model.encoder import Encoder

# By the name of the class in transformers' config.json.
ARCHITECTURES = {
    "sequence": "BertForSequenceClassification",
    "token": "BertForTokenClassification",
    "span": "BertForQuestionAnswering",
}


@dataclass(frozen=True)
class Head:
    """The output layer.

    kind: `sequence` (logits [B, K] of the pooled text), `token` ([B, L, K]) or `span` ([B, L, 2],
    the answer's first and last token); problem_type: as transformers calls it, None beside
    `sequence`; settings: what the task keeps beside label names, under `tfpipe` in config.json.
    """

    kind: str = "sequence"
    problem_type: str | None = "single_label_classification"
    settings: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, config: Any) -> Head:
        """The head that a BertConfig tells of; `sequence` where it tells of none of ours."""
        kinds = {architecture: kind for kind, architecture in ARCHITECTURES.items()}
        name = config.architectures[0] if config.architectures else ""
        kind = kinds.get(name.removeprefix("TF"), "sequence")
        problem_type = config.problem_type
        if kind == "sequence" and problem_type is None:
            problem_type = "single_label_classification"
        return cls(kind, problem_type, dict(getattr(config, "tfpipe", None) or {}))

    def write(self, config: Any) -> None:
        """Write the head into a BertConfig."""
        config.architectures = [ARCHITECTURES[self.kind]]
        config.problem_type = self.problem_type
        config.tfpipe = dict(self.settings)

    def of_encoder(self, encoder: Encoder) -> Callable[..., tf.Tensor]:
        """The method of the fast graph that computes it."""
        methods = {
            "sequence": encoder.logits,
            "token": encoder.token_logits,
            "span": encoder.span_logits,
        }
        return methods[self.kind]

    def of_stock(self, answer: Any) -> tf.Tensor:
        """The same of what TFBert answers."""
        if self.kind == "span":
            return tf.stack([answer.start_logits, answer.end_logits], axis=-1)
        return answer.logits
