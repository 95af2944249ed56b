"""The task `classify`: one label a text, or a pair of texts."""

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
from tfpipe.data.labels import parsed_labels
from tfpipe.errors import UserError
from tfpipe.model.head import Head
from tfpipe.tasks.calibration.abstention_target import (
    ABSTAIN,
    AbstentionTarget,
    read_abstention_target,
)
from tfpipe.tasks.calibration.selective import abstain, choose_threshold
from tfpipe.tasks.calibration.temperature import fit_temperature
from tfpipe.tasks.classify.evaluation import ClassificationEvaluation
from tfpipe.tasks.classify.labels import Names
from tfpipe.tasks.losses import LossSettings, cross_entropy, focal, symmetric_divergence
from tfpipe.tasks.sequence import SequenceTask
from tfpipe.tasks.task import Batch, Outputs


@dataclass(frozen=True)
class Classify(Names, SequenceTask):
    """Single-label classification with softmax and cross-entropy.

    Attributes:
        label_names: Of the head's columns.
        long_text: How texts over the maximum length are read, see tasks.long_text.
        temperature: By which logits are divided before the softmax.
        abstain_below: The score below which the model abstains, None where it never does.
        out_of_scope: The label of texts that no other label fits; it is answered as abstention.
        abstention_target: By which a threshold is to be chosen on dev, None for none.
        no_threshold_reason: Why dev warrants no threshold.
    """

    label_names: Sequence[str]
    long_text: str = "head"
    temperature: float = 1.0
    abstain_below: float | None = None
    out_of_scope: str | None = None
    abstention_target: AbstentionTarget | None = None
    no_threshold_reason: str | None = None

    target: ClassVar[str] = "label"
    unit: ClassVar[float] = 1.0

    @classmethod
    def from_labels(cls, labels: Sequence[str], config: TrainConfig | None = None) -> Classify:
        """Build the task over the labels that occur, in sorted order."""
        names = sorted(set(labels))
        if config is None:
            return cls(names)
        target = read_abstention_target(config.abstain, names)
        outside = target.outside if target else None
        return cls(names, config.long_text, out_of_scope=outside, abstention_target=target)

    @classmethod
    def restore(cls, label_names: Sequence[str], settings: Mapping[str, Any]) -> Classify:
        """Restore the task of a model's folder, with what was chosen on dev."""
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
        """Return the column of each label, int32 [N]; raises UserError for an unknown one."""
        self._refuse_unknown_names(examples)
        column = {name: i for i, name in enumerate(self.label_names)}
        labels = parsed_labels(examples, type(self))
        return np.array([column[label] for label in labels], np.int32)

    def loss(self, logits: tf.Tensor, batch: Batch) -> tf.Tensor:
        """Cross-entropy in nats, float32 [B], of logits [B, K] and `label` int32 [B]."""
        return cross_entropy(tf.cast(logits, tf.float32) / self.temperature, batch["label"])

    def training_loss(self, logits: tf.Tensor, batch: Batch, settings: LossSettings) -> tf.Tensor:
        """Return the loss that training minimises, float32 [B]; dev is evaluated with `loss`."""
        if settings.focal_gamma is not None:
            return focal(logits, batch["label"], settings.focal_gamma)
        return cross_entropy(logits, batch["label"], settings.label_smoothing)

    def divergence(self, logits: tf.Tensor, other: tf.Tensor, batch: Batch) -> tf.Tensor:
        """Return the divergence of two outputs for the same texts, float32 [B]."""
        return symmetric_divergence(logits, other)

    def balanced_weights(self, targets: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return float32 [N]: N / (K * count of the label), as scikit-learn's `balanced`."""
        gold = targets["label"]
        counts = np.bincount(gold, minlength=len(self.label_names))
        return (len(gold) / (len(self.label_names) * counts[gold])).astype(np.float32)

    @property
    def choices(self) -> Sequence[str]:
        """The temperature and the threshold, as sentences."""
        sentences = [f"scores are those of logits divided by {self.temperature:.3f}"]
        if self.abstain_below is not None:
            sentences.append(f"answers with a score below {self.abstain_below:.3f} are held back")
        if self.no_threshold_reason is not None:
            sentences.append(f"no answer is held back: {self.no_threshold_reason}")
        return sentences

    def tuned_on(self, labelled: EncodedDataset, logits: np.ndarray) -> Classify:
        """Choose the temperature, and the threshold where there is a target for it."""
        logits, gold = self.pooled(labelled, logits), self.example_targets(labelled)["label"]
        fitted = dataclasses.replace(self, temperature=fit_temperature(logits, gold).value)
        if self.abstention_target is None:
            return fitted
        evaluation = fitted._evaluation(labelled.examples, gold, logits)
        try:
            threshold = choose_threshold(evaluation.answered, self.abstention_target)
        except UserError as error:
            # The training was not in vain: only the threshold is missing.
            return dataclasses.replace(fitted, no_threshold_reason=str(error))
        return dataclasses.replace(fitted, abstain_below=threshold)

    def decode(self, logits: tf.Tensor) -> dict[str, tf.Tensor]:
        """Decode logits [B, K] to label string [B], score float32 [B] and scores float32 [B, K].

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
        """Evaluate the logits, float32 [N, K], of labelled examples."""
        gold = self.example_targets(labelled)["label"]
        return self._evaluation(labelled.examples, gold, self.pooled(labelled, logits))

    def _evaluation(
        self, examples: Examples, gold: np.ndarray, logits: np.ndarray
    ) -> ClassificationEvaluation:
        scores = self.decode(tf.constant(logits))["scores"].numpy()
        loss = float(tf.reduce_mean(self.loss(tf.constant(logits), {"label": tf.constant(gold)})))
        return self._of_scores(examples, gold, scores, loss)

    def judge(self, examples: Examples, outputs: Outputs) -> ClassificationEvaluation:
        """Evaluate served answers to labelled examples."""
        gold, scores = self.gold(examples), outputs["scores"]
        chosen = scores[np.arange(len(gold)), gold]
        loss = -np.log(np.maximum(chosen, np.finfo(np.float32).tiny))
        return self._of_scores(examples, gold, scores, float(loss.mean()))

    def _of_scores(
        self, examples: Examples, gold: np.ndarray, scores: np.ndarray, loss: float
    ) -> ClassificationEvaluation:
        names = list(self.label_names)
        outside = names.index(self.out_of_scope) if self.out_of_scope in names else None
        return ClassificationEvaluation(
            *(examples.joined(), names, gold, scores, loss), self.abstain_below, outside
        )

    def costs(self, examples: Examples, outputs: Outputs) -> np.ndarray:
        """Return float [N]: 1 where the label is wrong, whatever labels the other model has.

        Where a text is out of scope, abstention is right.
        """
        if "label" not in outputs:
            raise ValueError(f"it gives {', '.join(outputs)} and no label")
        wanted = np.asarray(parsed_labels(examples, type(self)))
        held_back = (outputs["label"] == ABSTAIN) & (wanted == self.out_of_scope)
        return ((outputs["label"] != wanted) & ~held_back).astype(float)
