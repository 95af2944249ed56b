"""The task `embed`: a vector for each text, near to those of similar texts."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from tfpipe.config import TrainConfig
from tfpipe.data.encoded import EncodedDataset
from tfpipe.data.examples import Examples
from tfpipe.data.tokenizer import Tokenizer
from tfpipe.model.head import Head
from tfpipe.tasks.embed.evaluation import EmbedEvaluation
from tfpipe.tasks.embed.labelled_pairs import label_pairs, targets_of
from tfpipe.tasks.embed.labels import GRADED, LABELS, PAIRS, Similarity, distinct_texts, kind_of
from tfpipe.tasks.embed.losses import cosent_loss, ranking_losses, supervised_losses
from tfpipe.tasks.losses import LossSettings
from tfpipe.tasks.task import Batch, Forward, Outputs, Tensors

# Inputs over which the loss on dev is computed at once, whatever the batch of training is.
LOSS_INPUTS = 256
LOSS_NAMES = {
    PAIRS: "multiple negatives ranking, in both directions",
    GRADED: "CoSENT, of the order of the similarities",
    LABELS: "supervised contrastive",
}


@dataclass(frozen=True)
class Embed(Similarity):
    """Vectors at length 1 whose cosine says how similar two texts are.

    Attributes:
        temperature: By which cosines are divided in the losses.
    """

    temperature: float = TrainConfig.temperature

    label_names: ClassVar[Sequence[str]] = ()
    unit: ClassVar[float] = 1.0
    choices: ClassVar[Sequence[str]] = ()

    @classmethod
    def from_labels(cls, labels: Sequence[Any], config: TrainConfig | None = None) -> Embed:
        """Build the task with the configured temperature."""
        return cls(config.temperature) if config else cls()

    @classmethod
    def inputs(cls, pairs: bool) -> Sequence[str]:
        """Return `text`, also where the examples are pairs."""
        return ("text",)

    @property
    def head(self) -> Head:
        """Pooled vectors."""
        return Head("embedding", None, {"task": self.name, **dataclasses.asdict(self)})

    @classmethod
    def restore(cls, label_names: Sequence[str], settings: Mapping[str, Any]) -> Embed:
        """Restore the task of a model's folder."""
        return cls(**{name: value for name, value in settings.items() if name != "task"})

    # ---- training
    def refuse_unknown(self, examples: Examples) -> None:
        """Accept all labels: no name is learnt."""

    def label(self, examples: Examples, tokenizer: Tokenizer, max_length: int) -> EncodedDataset:
        """Build an input of each text, and the targets of `targets_of`."""
        return label_pairs(examples, tokenizer, max_length)

    def loss(self, logits: tf.Tensor, batch: Batch) -> tf.Tensor:
        """Compute the loss that the columns of the batch are for, float32 [B].

        Args:
            logits: float32 [B, H], the vectors; the two of a pair follow each other.
            batch: The columns of `targets_of`, and `weight`. A text of weight 0 counts nowhere.
        """
        scale, used = 1.0 / self.temperature, batch["weight"] > 0
        if "place" not in batch:
            differs = _differ(batch["text"], batch["text"])
            compared = differs & used
            same = ~_differ(batch["label"], batch["label"])
            return supervised_losses(logits, compared & same, compared, scale)
        one, other = logits[0::2], logits[1::2]
        if "similarity" in batch:
            cosines = tf.reduce_sum(one * other, 1)
            value = cosent_loss(cosines, batch["similarity"][::2], used[::2], scale)
            return tf.fill(tf.shape(used), value)
        barred = _not_negative(batch) | ~used[::2] | ~used[::2, tf.newaxis]
        barred = tf.linalg.set_diag(barred, tf.zeros_like(used[::2]))
        return tf.reshape(tf.stack(ranking_losses(one, other, barred, scale), 1), [-1])

    def training_loss(self, logits: tf.Tensor, batch: Batch, settings: LossSettings) -> tf.Tensor:
        """Return `loss`; the configuration refuses other losses."""
        return self.loss(logits, batch)

    def divergence(self, logits: tf.Tensor, other: tf.Tensor, batch: Batch) -> tf.Tensor:
        """Raise ValueError: a vector is not a distribution; the configuration refuses it."""
        raise ValueError("vectors have no divergence")

    def balanced_weights(self, targets: Mapping[str, np.ndarray]) -> np.ndarray:
        """Raise ValueError: no names are learnt; the configuration refuses it."""
        raise ValueError("vectors have no balanced weights")

    def tuned_on(self, labelled: EncodedDataset, logits: np.ndarray) -> Embed:
        """Return the task itself: nothing is chosen on dev."""
        return self

    def notes(self, labelled: EncodedDataset) -> Sequence[str]:
        """Return which loss the training data are for."""
        kind = kind_of(labelled.examples)
        return [f"{kind}, so the loss is {LOSS_NAMES[kind]}"]

    def evaluate(self, labelled: EncodedDataset, logits: np.ndarray) -> EmbedEvaluation:
        """Evaluate the vectors, float32 [inputs, H], of labelled examples."""
        return self._evaluate(labelled.examples, logits)

    def _evaluate(self, examples: Examples, vectors: np.ndarray) -> EmbedEvaluation:
        targets, losses = targets_of(examples), []
        for start in range(0, len(vectors), LOSS_INPUTS):
            rows = slice(start, start + LOSS_INPUTS)
            batch = {name: tf.constant(column[rows]) for name, column in targets.items()}
            found = tf.constant(vectors[rows])
            weight = tf.ones(len(found))
            losses.append(self.loss(found, batch | {"weight": weight}).numpy())
        loss = float(np.concatenate(losses).mean()) if losses else float("nan")
        return EmbedEvaluation(examples.joined(), examples, targets, vectors, loss)

    # ---- served
    @classmethod
    def served_texts(cls, examples: Examples) -> Examples:
        """Return the texts of all examples, each once: a vector is that of one text."""
        texts = distinct_texts(examples)
        return Examples(texts, None, None, examples.path, examples.columns)

    def answer(
        self,
        columns: Sequence[tf.Tensor],
        tokenizer: Tokenizer,
        max_length: int,
        forward: Forward,
    ) -> Tensors:
        """Compute the vectors of texts, string [B]."""
        return self.decode(forward(tokenizer(columns[0], None, max_length)))

    def decode(self, logits: tf.Tensor) -> Tensors:
        """Return the vectors as `embedding`, float32 [B, H]."""
        return {"embedding": tf.cast(logits, tf.float32)}

    def judge(self, examples: Examples, outputs: Outputs) -> EmbedEvaluation:
        """Evaluate the served vectors of the texts of `served_texts`."""
        return self._evaluate(examples, outputs["embedding"][targets_of(examples)["text"]])

    def costs(self, examples: Examples, outputs: Outputs) -> np.ndarray:
        """Return float [N]: how far each answer is from right, see EmbedEvaluation.error."""
        if "embedding" not in outputs:
            raise ValueError(f"it gives {', '.join(outputs)} and no embedding")
        return self.judge(examples, outputs).error


def _differ(one: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
    """Bool [B, B]: whether the numbers int32 [B] differ."""
    return one[:, tf.newaxis] != other


def _not_negative(batch: Batch) -> tf.Tensor:
    """Bool [B, B]: pairs that share a text or a label."""
    first, second, label = batch["text"][::2], batch["text"][1::2], batch["label"][::2]
    differ = _differ(first, first) & _differ(second, second)
    differ &= _differ(first, second) & _differ(second, first)
    return ~differ | (~_differ(label, label) & (label >= 0))
