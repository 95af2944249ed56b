"""One label a text, or a pair of texts."""

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
from tfpipe.data.labels import OneLabel, parsed_labels
from tfpipe.errors import UserError
from tfpipe.model.head import Head
from tfpipe.tasks.calibration.selective import (
    ABSTAIN,
    AbstentionTarget,
    abstain,
    choose_threshold,
    read_abstention_target,
)
from tfpipe.tasks.calibration.temperature import fit_temperature
from tfpipe.tasks.classify.evaluation import ClassificationEvaluation
from tfpipe.tasks.losses import LossSettings, cross_entropy, focal, symmetric_divergence
from tfpipe.tasks.sequence import SequenceTask
from tfpipe.tasks.task import Batch, Outputs


@dataclass(frozen=True)
class Classify(OneLabel, SequenceTask):
    """Single-label classification with softmax and cross-entropy.

    long_text: what is read of a text that is longer than the room; temperature: by which logits
    are divided before the softmax; abstain_below: the score below which there is no answer, None
    where there always is one; out_of_scope: the label of texts that no other label fits, which is
    no answer either; wish: what threshold is to be chosen on dev, None for none;
    refusal: why dev warrants none.
    """

    label_names: Sequence[str]
    long_text: str = "head"
    temperature: float = 1.0
    abstain_below: float | None = None
    out_of_scope: str | None = None
    wish: AbstentionTarget | None = None
    refusal: str | None = None

    name: ClassVar[str] = "classify"
    target: ClassVar[str] = "label"
    unit: ClassVar[float] = 1.0

    @classmethod
    def from_labels(cls, labels: Sequence[str], config: TrainConfig | None = None) -> Classify:
        """The task over the labels that occur, in sorted order."""
        names = sorted(set(labels))
        if config is None:
            return cls(names)
        wish = read_abstention_target(config.abstain, names)
        outside = wish.outside if wish else None
        return cls(names, config.long_text, out_of_scope=outside, wish=wish)

    @classmethod
    def restore(cls, label_names: Sequence[str], settings: Mapping[str, Any]) -> Classify:
        """The task of a model's folder, with what was chosen on dev."""
        kept = {name: value for name, value in settings.items() if name != "task"}
        return cls(list(label_names), **kept)

    @property
    def head(self) -> Head:
        """A column of logits a label."""
        settings = {"task": self.name, "long_text": self.long_text, "temperature": self.temperature}
        if self.abstain_below is not None:
            settings |= {"abstain_below": self.abstain_below, "out_of_scope": self.out_of_scope}
        return Head("sequence", "single_label_classification", settings)

    def gold(self, examples: Examples) -> np.ndarray:
        """int32 [N]: the column of each example's label; raises UserError for an unknown one."""
        self._refuse_unknown_names(examples)
        column = {name: i for i, name in enumerate(self.label_names)}
        labels = parsed_labels(examples, type(self))
        return np.array([column[label] for label in labels], np.int32)

    def loss(self, logits: tf.Tensor, batch: Batch) -> tf.Tensor:
        """Cross-entropy in nats, float32 [B], of logits [B, K] and `label` int32 [B]."""
        return cross_entropy(tf.cast(logits, tf.float32) / self.temperature, batch["label"])

    def training_loss(self, logits: tf.Tensor, batch: Batch, settings: LossSettings) -> tf.Tensor:
        """What training minimises, float32 [B]; dev is looked at with the plain loss."""
        if settings.focal_gamma is not None:
            return focal(logits, batch["label"], settings.focal_gamma)
        return cross_entropy(logits, batch["label"], settings.label_smoothing)

    def divergence(self, logits: tf.Tensor, other: tf.Tensor, batch: Batch) -> tf.Tensor:
        """How far two answers to the same texts lie apart, float32 [B], for R-Drop."""
        return symmetric_divergence(logits, other)

    def balanced_weights(self, targets: Mapping[str, np.ndarray]) -> np.ndarray:
        """float32 [N]: N / (K * count of the label), as scikit-learn's `balanced`."""
        gold = targets["label"]
        counts = np.bincount(gold, minlength=len(self.label_names))
        return (len(gold) / (len(self.label_names) * counts[gold])).astype(np.float32)

    @property
    def choices(self) -> Sequence[str]:
        """The temperature and the threshold."""
        told = [f"scores are those of logits divided by {self.temperature:.3f}"]
        if self.abstain_below is not None:
            told.append(f"answers with a score below {self.abstain_below:.3f} are held back")
        if self.refusal is not None:
            told.append(f"no answer is held back: {self.refusal}")
        return told

    def tuned_on(self, labelled: EncodedDataset, logits: np.ndarray) -> Classify:
        """With the temperature, and where it is wished for the threshold, that suit these best."""
        logits, gold = self.pooled(labelled, logits), self.example_targets(labelled)["label"]
        fitted = dataclasses.replace(self, temperature=fit_temperature(logits, gold).value)
        if self.wish is None:
            return fitted
        said = fitted._evaluation(labelled.examples, gold, logits)
        try:
            threshold = choose_threshold(said.answered, self.wish)
        except UserError as error:
            # The training was not in vain: only the threshold is missing.
            return dataclasses.replace(fitted, refusal=str(error))
        return dataclasses.replace(fitted, abstain_below=threshold)

    def decode(self, logits: tf.Tensor) -> dict[str, tf.Tensor]:
        """label string [B], score float32 [B], scores float32 [B, K] of logits [B, K].

        The label is `__abstain__` where there is no answer.
        """
        scores = tf.nn.softmax(tf.cast(logits, tf.float32) / self.temperature)
        names = [ABSTAIN if name == self.out_of_scope else name for name in self.label_names]
        known = self.label_names if self.abstain_below is None else names
        label = tf.gather(tf.constant(known), tf.argmax(scores, axis=1))
        score = tf.reduce_max(scores, axis=1)
        if self.abstain_below is not None:
            label = abstain(label, score, self.abstain_below)
        return {"label": label, "score": score, "scores": scores}

    def evaluate(self, labelled: EncodedDataset, logits: np.ndarray) -> ClassificationEvaluation:
        """What logits float32 say about labelled examples."""
        gold = self.example_targets(labelled)["label"]
        return self._evaluation(labelled.examples, gold, self.pooled(labelled, logits))

    def _evaluation(
        self, examples: Examples, gold: np.ndarray, logits: np.ndarray
    ) -> ClassificationEvaluation:
        scores = self.decode(tf.constant(logits))["scores"].numpy()
        loss = float(tf.reduce_mean(self.loss(tf.constant(logits), {"label": tf.constant(gold)})))
        return self._said(examples, gold, scores, loss)

    def judge(self, examples: Examples, outputs: Outputs) -> ClassificationEvaluation:
        """What served answers say about labelled examples."""
        gold, scores = self.gold(examples), outputs["scores"]
        chosen = scores[np.arange(len(gold)), gold]
        loss = -np.log(np.maximum(chosen, np.finfo(np.float32).tiny))
        return self._said(examples, gold, scores, float(loss.mean()))

    def _said(
        self, examples: Examples, gold: np.ndarray, scores: np.ndarray, loss: float
    ) -> ClassificationEvaluation:
        names = list(self.label_names)
        outside = names.index(self.out_of_scope) if self.out_of_scope in names else None
        return ClassificationEvaluation(
            *(examples.joined(), names, gold, scores, loss), self.abstain_below, outside
        )

    def costs(self, examples: Examples, outputs: Outputs) -> np.ndarray:
        """float [N]: 1 where the label is wrong, whatever labels the other model has.

        Where a text is out of scope, holding back is right.
        """
        if "label" not in outputs:
            raise ValueError(f"it gives {', '.join(outputs)} and no label")
        wanted = np.asarray(parsed_labels(examples, type(self)))
        held_back = (outputs["label"] == ABSTAIN) & (wanted == self.out_of_scope)
        return ((outputs["label"] != wanted) & ~held_back).astype(float)
