"""The task `tag`: entities in a text, as BIO tags of its words."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfpipe.config import TrainConfig
from tfpipe.data.encoded import EncodedDataset
from tfpipe.data.examples import Examples
from tfpipe.data.labels import parsed_labels, refuse_unknown
from tfpipe.data.spans import Span
from tfpipe.data.tokenizer import Tokenizer
from tfpipe.errors import UserError
from tfpipe.model.head import Head
from tfpipe.tasks.losses import LossSettings, cross_entropy, focal, symmetric_divergence
from tfpipe.tasks.tag.covers import describe_lost
from tfpipe.tasks.tag.entities import decode_entities
from tfpipe.tasks.tag.evaluation import TagEvaluation
from tfpipe.tasks.tag.labelled_words import NO_WORD, EncodedTagDataset, label_words
from tfpipe.tasks.tag.labels import Entities
from tfpipe.tasks.tag.words import WordPositions, find_words
from tfpipe.tasks.task import Batch, Forward, Outputs, Tensors

# Rows that are decoded at once.
ROWS = 256


class Tag(Entities):
    """Tagging with softmax and cross-entropy of each word's first token; decodes legal BIO only.

    Args:
        label_names: O, and B- and I- of every entity type, in any order.
    """

    unit = 1.0

    def __init__(self, label_names: Sequence[str]):
        self.label_names = list(label_names)
        self._column = {name: i for i, name in enumerate(self.label_names)}
        self.types = [*self.names_of_columns(self.label_names)]
        # The order in which tags are decoded: see entities.py.
        self._decoded = ["O", *(f"B-{t}" for t in self.types), *(f"I-{t}" for t in self.types)]
        if sorted(self._decoded) != sorted(self.label_names) or not self.types:
            raise UserError(
                "the model's labels are not BIO tags",
                ", ".join(map(repr, self.label_names[:8])),
                "give a model whose labels are O, and B- and I- of every type",
            )

    # ---- before there is a model

    @classmethod
    def from_labels(
        cls, labels: Sequence[tuple[Span, ...]], config: TrainConfig | None = None
    ) -> Tag:
        """Build the task over the types that occur: O, then B- and I- of each type, sorted."""
        types = sorted({span.type for label in set(labels) for span in label})
        return cls(["O", *(f"{letter}-{kind}" for kind in types for letter in "BI")])

    @classmethod
    def inputs(cls, pairs: bool) -> Sequence[str]:
        """Return `text`."""
        return ("text",)

    # ---- into a model's folder and back

    @classmethod
    def restore(cls, label_names: Sequence[str], settings: Mapping[str, Any]) -> Tag:
        """Restore the task of a model's folder."""
        return cls(label_names)

    @property
    def head(self) -> Head:
        """A column of logits for each tag, for every token."""
        return Head("token", None, {"task": self.name})

    # ---- training

    def refuse_unknown(self, examples: Examples) -> None:
        """Raise UserError for entity types that the model has no tags for."""
        refuse_unknown(examples, self.types, type(self))

    def label(self, examples: Examples, tokenizer: Tokenizer, max_length: int) -> EncodedTagDataset:
        """Build the model's inputs, with the words and tags of the texts."""
        self.refuse_unknown(examples)
        spans = parsed_labels(examples, type(self))
        return label_words(examples, spans, self._column, tokenizer, max_length)

    def notes(self, labelled: EncodedDataset) -> list[str]:
        """Report entities that cannot be learnt: truncated ones, and parts of words."""
        assert isinstance(labelled, EncodedTagDataset)
        total = sum(map(len, parsed_labels(labelled.examples, type(self))))
        return describe_lost(total, labelled.cut, labelled.torn)

    def loss(self, logits: tf.Tensor, batch: Batch) -> tf.Tensor:
        """Return mean cross-entropy over a text's words in nats, float32 [B]; 0 for a text of none.

        Args:
            logits: [B, L, K].
            batch: With `tags`: int32 [B, any], cut or padded to the batch's L.
        """
        gold, is_word = _fit(batch["tags"], logits)
        return _mean_of_words(cross_entropy(logits, gold), is_word)

    def training_loss(self, logits: tf.Tensor, batch: Batch, settings: LossSettings) -> tf.Tensor:
        """Return the loss that training minimises, float32 [B]; dev is evaluated with `loss`."""
        gold, is_word = _fit(batch["tags"], logits)
        if settings.focal_gamma is not None:
            return _mean_of_words(focal(logits, gold, settings.focal_gamma), is_word)
        return _mean_of_words(cross_entropy(logits, gold, settings.label_smoothing), is_word)

    def divergence(self, logits: tf.Tensor, other: tf.Tensor, batch: Batch) -> tf.Tensor:
        """Return the divergence of two outputs, float32 [B]: the mean over words."""
        _, is_word = _fit(batch["tags"], logits)
        return _mean_of_words(symmetric_divergence(logits, other), is_word)

    def balanced_weights(self, targets: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return float32 [N]: the mean of words / (K * count of the word's tag) over words."""
        gold = targets["tags"]
        is_word = gold != NO_WORD
        counts = np.bincount(gold[is_word], minlength=len(self.label_names))
        balanced = is_word.sum() / (len(self.label_names) * np.maximum(counts, 1))
        weights = np.where(is_word, balanced[np.where(is_word, gold, 0)], 0.0).sum(axis=1)
        return (weights / np.maximum(is_word.sum(axis=1), 1)).astype(np.float32)

    @property
    def choices(self) -> Sequence[str]:
        """Nothing is chosen on dev."""
        return ()

    def tuned_on(self, labelled: EncodedDataset, logits: np.ndarray) -> Tag:
        """Return the task itself: nothing is chosen on dev."""
        return self

    def evaluate(self, labelled: EncodedDataset, logits: np.ndarray) -> TagEvaluation:
        """Evaluate the logits, float32 [N, L, K], of labelled examples.

        L is that of the longest text or more; values behind a text's tokens are ignored.
        """
        assert isinstance(labelled, EncodedTagDataset)
        losses, parts = [np.zeros(0)], []
        for first in range(0, len(labelled.encoded), ROWS):
            limit = min(first + ROWS, len(labelled.encoded))
            width = int(labelled.encoded.lengths[first:limit].max(initial=1))
            part = tf.constant(logits[first:limit, :width])
            tags = tf.constant(labelled.targets["tags"][first:limit])
            losses.append(self.loss(part, {"tags": tags}).numpy())
            found = self._compiled(part, labelled.words(first, limit))
            parts.append({name: values.numpy() for name, values in found.items()})
        outputs = {name: _stack([part[name] for part in parts], name) for name in parts[0]}
        loss = float(np.concatenate(losses).mean())
        return self._evaluation(labelled.examples, outputs, loss)

    # ---- served

    def answer(
        self,
        columns: Sequence[tf.Tensor],
        tokenizer: Tokenizer,
        max_length: int,
        forward: Forward,
    ) -> Tensors:
        """Find the entities of texts, string [B].

        Entities behind `max_length` tokens are not found.

        Returns:
            entity string, start and end int32, score float32, [B, E] with E the most entities of a
            text. start and end are code points of the text as sent, end exclusive; unused entries
            hold "" and -1.
        """
        (text,) = columns
        batch = tokenizer(text, None, max_length)
        kept = tf.reduce_sum(batch["attention_mask"], axis=1)
        kept -= tokenizer.frame.text_specials
        return self.find_entities(forward(batch), find_words(tokenizer, text, kept))

    def decode(self, logits: tf.Tensor) -> Tensors:
        """Return label string [B, L], the likeliest tags, and scores float32 [B, L, K].

        Which tokens begin words is unknown here, so these tags may break BIO.
        """
        scores = tf.nn.softmax(tf.cast(logits, tf.float32))
        label = tf.gather(tf.constant(self.label_names), tf.argmax(scores, axis=-1))
        return {"label": label, "scores": scores}

    def find_entities(self, logits: tf.Tensor, words: WordPositions) -> Tensors:
        """Decode the entities of the best legal tags, as in `answer`; logits: float32 [B, L, K]."""
        order = [self._column[name] for name in self._decoded]
        logits = tf.gather(tf.cast(logits, tf.float32), words.token, batch_dims=1)
        return decode_entities(tf.gather(logits, order, axis=-1), words, self.types)

    @functools.cached_property
    def _compiled(self) -> Callable[[tf.Tensor, WordPositions], Tensors]:
        """`find_entities` as a graph: its loops would crawl step by step."""
        logits = tf.TensorSpec([None, None, len(self.label_names)], tf.float32)
        places = [tf.TensorSpec([None, None], dtype) for dtype in (tf.bool, *[tf.int32] * 3)]
        return tf.function(self.find_entities, [logits, WordPositions(*places)], autograph=False)

    def judge(self, examples: Examples, outputs: Outputs) -> TagEvaluation:
        """Evaluate served answers to labelled examples; their loss is unknown."""
        return self._evaluation(examples, outputs, float("nan"))

    def costs(self, examples: Examples, outputs: Outputs) -> np.ndarray:
        """Return float [N]: entities that are missed or wrong."""
        if not {"entity", "start", "end", "score"} <= set(outputs):
            raise ValueError(f"it gives {', '.join(outputs)} and no entities")
        right, found, gold = self.judge(examples, outputs).counts.T
        return (found + gold - 2 * right).astype(float)

    def _evaluation(self, examples: Examples, outputs: Outputs, loss: float) -> TagEvaluation:
        gold = parsed_labels(examples, type(self))
        return TagEvaluation(examples.texts, self.types, gold, outputs, loss)


def _fit(gold: tf.Tensor, logits: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return gold as wide as the batch, int32 [B, L], 0 without a word; bool [B, L], is a word."""
    width = tf.shape(logits)[1]
    gold = gold[:, :width]
    missing = width - tf.shape(gold)[1]
    gold = tf.pad(gold, [[0, 0], [0, missing]], constant_values=NO_WORD)
    is_word = gold != NO_WORD
    return tf.where(is_word, gold, 0), is_word


def _mean_of_words(costs: tf.Tensor, is_word: tf.Tensor) -> tf.Tensor:
    total = tf.reduce_sum(tf.where(is_word, costs, 0.0), axis=1)
    return total / tf.maximum(tf.reduce_sum(tf.cast(is_word, tf.float32), axis=1), 1.0)


def _stack(parts: Sequence[np.ndarray], name: str) -> np.ndarray:
    """Concatenate arrays [n, e] of several widths to [N, E], padded; bytes become strings."""
    unused: Any = b"" if name == "entity" else -1
    width = max(part.shape[1] for part in parts)
    whole = np.concatenate(
        [
            np.pad(part, [(0, 0), (0, width - part.shape[1])], constant_values=unused)
            for part in parts
        ]
    )
    if name != "entity":
        return whole
    names = [value.decode() for value in whole.ravel().tolist()]
    return np.array(names, np.str_).reshape(whole.shape)
