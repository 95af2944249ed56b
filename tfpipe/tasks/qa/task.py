"""The task `qa`: the answer to a question is a span of its context, or there is none."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from tfpipe.config import TrainConfig
from tfpipe.data.encoded import EncodedDataset
from tfpipe.data.examples import Examples
from tfpipe.data.labels import parsed_labels
from tfpipe.data.squad import GoldAnswer
from tfpipe.data.tokenizer import Tokenizer
from tfpipe.model.head import Head
from tfpipe.tasks.long_text import forward_in_groups
from tfpipe.tasks.losses import LossSettings, cross_entropy, focal, symmetric_divergence
from tfpipe.tasks.qa.best_spans import NEVER, BestSpans, find_best_spans, mask_logits
from tfpipe.tasks.qa.context_windows import ContextTokens, window_contexts
from tfpipe.tasks.qa.evaluation import QAEvaluation
from tfpipe.tasks.qa.labelled_windows import EncodedQADataset, label_windows
from tfpipe.tasks.qa.labels import Answers, describe_lost
from tfpipe.tasks.qa.squad_metrics import find_threshold
from tfpipe.tasks.task import Batch, Forward, Outputs, Tensors

# Questions whose windows are decoded together.
CHUNK = 128


@dataclass(frozen=True)
class QA(Answers):
    """Extractive question answering over overlapping windows.

    Attributes:
        may_be_silent: Whether there are questions without an answer.
        threshold: By how many nats the score of no answer must exceed the best answer's.
        longest_answer: In tokens.
        stride: Tokens from one window to the next, None for half of the maximum length.
        candidates: The number of best answers over which an answer's score is normalised.
    """

    may_be_silent: bool = False
    threshold: float = 0.0
    longest_answer: int = 48
    stride: int | None = None
    candidates: int = 20

    @property
    def label_names(self) -> Sequence[str]:
        """Of the head's two columns."""
        return ["start", "end"]

    @property
    def unit(self) -> float:
        """Scores are probabilities."""
        return 1.0

    # ---- before there is a model
    @classmethod
    def from_labels(
        cls, labels: Sequence[tuple[GoldAnswer, ...]], config: TrainConfig | None = None
    ) -> QA:
        """Build the task; with an answer to every training question, it always gives one."""
        return cls(may_be_silent=() in labels)

    @classmethod
    def inputs(cls, pairs: bool) -> Sequence[str]:
        """Return `question` and `context`."""
        return ("question", "context")

    # ---- into a model's folder and back
    @property
    def head(self) -> Head:
        """The head for a first and a last token, with all settings."""
        return Head("span", None, {"task": self.name, **dataclasses.asdict(self)})

    @classmethod
    def restore(cls, label_names: Sequence[str], settings: Mapping[str, Any]) -> QA:
        """Restore the task of a model's folder."""
        return cls(**{name: value for name, value in settings.items() if name != "task"})

    # ---- training
    def refuse_unknown(self, examples: Examples) -> None:
        """Accept all: any answer is possible."""

    def label(self, examples: Examples, tokenizer: Tokenizer, max_length: int) -> EncodedQADataset:
        """Build the examples' windows; raises UserError for labels that cannot be parsed."""
        answers = parsed_labels(examples, type(self))
        return label_windows(examples, answers, tokenizer, max_length, self.stride)

    def notes(self, labelled: EncodedDataset) -> Sequence[str]:
        """Report answers that are whole in no window, which cannot be learnt."""
        assert isinstance(labelled, EncodedQADataset)
        held = (
            np.bincount(
                labelled.owner, labelled.targets["answer"][:, 0] > 0, len(labelled.examples)
            )
            > 0
        )
        answers = parsed_labels(labelled.examples, type(self))
        lost = sum(map(bool, answers)) - int(held.sum())
        return describe_lost(lost)

    def loss(self, logits: tf.Tensor, batch: Batch) -> tf.Tensor:
        """Return the mean of the cross-entropies of the answer's first and last token, float32 [W].

        [CLS] is right where the answer is not in the window; the question's tokens and padding
        cannot be an answer.

        Args:
            logits: [W, L, 2].
            batch: The targets of EncodedQADataset.
        """
        return tf.reduce_mean(cross_entropy(*_columns(logits, batch)), axis=1)

    def training_loss(self, logits: tf.Tensor, batch: Batch, settings: LossSettings) -> tf.Tensor:
        """Return the loss of training, float32 [W]; smoothing covers possible places only."""
        columns, right = _columns(logits, batch)
        if settings.focal_gamma is not None:
            return tf.reduce_mean(focal(columns, right, settings.focal_gamma), axis=1)
        cost = cross_entropy(columns, right)
        if settings.label_smoothing:
            possible = tf.cast(columns > NEVER / 2, tf.float32)
            uniform = -tf.reduce_sum(tf.nn.log_softmax(columns) * possible, -1)
            uniform /= tf.reduce_sum(possible, -1)
            smoothing = settings.label_smoothing
            cost = (1.0 - smoothing) * cost + smoothing * uniform
        return tf.reduce_mean(cost, axis=1)

    def divergence(self, logits: tf.Tensor, other: tf.Tensor, batch: Batch) -> tf.Tensor:
        """Return the divergence of two outputs, float32 [W], over possible places."""
        one, two = (_columns(values, batch)[0] for values in (logits, other))
        return tf.reduce_mean(symmetric_divergence(one, two), axis=1)

    def balanced_weights(self, targets: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return float32 [W]: windows with and without their answer have equal total weight."""
        answered = (targets["answer"][:, 0] > 0).astype(int)
        counts = np.bincount(answered, minlength=2)
        return (len(answered) / (2 * counts[answered])).astype(np.float32)

    @property
    def choices(self) -> Sequence[str]:
        """The threshold of no answer, as a sentence."""
        if not self.may_be_silent:
            return ()
        return [
            f"no answer is given where it is worth {self.threshold:.3f} nats more than the best"
        ]

    def tuned_on(self, labelled: EncodedDataset, logits: np.ndarray) -> QA:
        """Choose the threshold with the best F1; nothing where every question has an answer."""
        if not self.may_be_silent:
            return self
        always = dataclasses.replace(self, may_be_silent=False)
        outputs, margins = always._answer_all(labelled, logits)
        evaluation = always.judge(labelled.examples, outputs)
        answerable = np.array([any(several) for several in evaluation.gold])
        threshold = find_threshold(margins, evaluation.f1, answerable)
        return dataclasses.replace(self, threshold=threshold)

    def evaluate(self, labelled: EncodedDataset, logits: np.ndarray) -> QAEvaluation:
        """Evaluate the logits, float32 [W, L, 2]; the loss is the mean over windows."""
        outputs, _ = self._answer_all(labelled, logits)
        losses = [
            self.loss(
                logits[i : i + CHUNK],
                {name: column[i : i + CHUNK] for name, column in labelled.targets.items()},
            ).numpy()
            for i in range(0, len(logits), CHUNK)
        ]
        loss = float(np.concatenate(losses).mean())
        return dataclasses.replace(self.judge(labelled.examples, outputs), loss=loss)

    def _answer_all(
        self, labelled: EncodedDataset, logits: np.ndarray
    ) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Return the served answers, and float [N]: the margin of no answer over the best one."""
        assert isinstance(labelled, EncodedQADataset)
        contexts = labelled.examples.text_pairs or []
        parts: list[Tensors] = []
        for first in range(0, len(contexts), CHUNK):
            limit = min(first + CHUNK, len(contexts))
            tokens = labelled.tokens(first, limit)
            of_chunk = logits[labelled.rows(first, limit), : tokens.starts.shape[1]]
            spans = self._find(tf.constant(of_chunk), tokens)
            answered = self._quote(spans, tf.constant(contexts[first:limit], tf.string))
            margin = spans.no_answer - spans.scores[:, 0]
            parts.append({**answered, "margin": margin})
        outputs = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        texts = [answer.decode() for answer in outputs["answer"].tolist()]
        # Objects: an array of fixed width would need the longest answer's length for each.
        outputs["answer"] = np.array(texts, object)
        return outputs, outputs.pop("margin").astype(float)

    # ---- served
    def answer(
        self,
        columns: Sequence[tf.Tensor],
        tokenizer: Tokenizer,
        max_length: int,
        forward: Forward,
    ) -> Tensors:
        """Answer questions from contexts, string [B].

        Returns:
            answer string [B], start, end int32 [B], score float32 [B]. `context[start:end]` is the
            answer, in code points of the context as sent; without one it is empty and both are -1.
            The score is the answer's share of the probability of the best `candidates` and of no
            answer.
        """
        questions, contexts = columns
        windows = window_contexts(tokenizer, questions, contexts, max_length, self.stride)
        logits = forward_in_groups(forward, windows.inputs, [None, 2])
        return self._quote(self._find(logits, windows.tokens), contexts)

    def _find(self, logits: tf.Tensor, tokens: ContextTokens) -> BestSpans:
        return find_best_spans(logits, tokens, self.candidates, self.longest_answer)

    def _quote(self, spans: BestSpans, contexts: tf.Tensor) -> Tensors:
        shares = tf.nn.softmax(tf.concat([spans.scores, spans.no_answer[:, tf.newaxis]], 1))
        best = spans.scores[:, 0]
        unanswered = best <= NEVER / 2
        if self.may_be_silent:
            unanswered |= spans.no_answer - best > self.threshold
        start = tf.where(unanswered, 0, spans.starts[:, 0])
        length = tf.where(unanswered, 0, spans.ends[:, 0] - start)
        # The tokenizer counts invalid bytes as U+FFFD; raw strings would be counted otherwise.
        with tf.device("CPU:0"):
            readable = tf.strings.unicode_transcode(contexts, "UTF-8", "UTF-8", errors="replace")
            answer = tf.strings.substr(readable, start, length, unit="UTF8_CHAR")
        return {
            "answer": answer,
            "start": tf.where(unanswered, -1, start),
            "end": tf.where(unanswered, -1, start + length),
            "score": tf.where(unanswered, shares[:, -1], shares[:, 0]),
        }

    def decode(self, logits: tf.Tensor) -> Tensors:
        """Return start_logits, end_logits float32 [B, L]; any value at padding.

        Token ids alone do not give a token's place in its context.
        """
        logits = tf.cast(logits, tf.float32)
        return {"start_logits": logits[:, :, 0], "end_logits": logits[:, :, 1]}

    def judge(self, examples: Examples, outputs: Outputs) -> QAEvaluation:
        """Evaluate served answers to labelled examples."""
        parsed = parsed_labels(examples, type(self))
        answers = [[answer.text for answer in several] for several in parsed]
        return QAEvaluation(examples.joined(), answers, outputs)

    def costs(self, examples: Examples, outputs: Outputs) -> np.ndarray:
        """Return float [N]: 1 - F1; raises ValueError for the answers of another kind of model."""
        if "answer" not in outputs:
            raise ValueError(f"it answers {', '.join(sorted(outputs))}, not `answer`")
        return 1.0 - self.judge(examples, outputs).f1


def _columns(logits: tf.Tensor, batch: Batch) -> tuple[tf.Tensor, tf.Tensor]:
    """Logits [W, 2, L], NEVER where no answer can be, and the answer's tokens [W, 2]."""
    first, last = tf.unstack(batch["context"], axis=1)
    column = tf.range(tf.shape(logits)[1])
    context = (column >= first[:, tf.newaxis]) & (column <= last[:, tf.newaxis])
    return tf.transpose(mask_logits(logits, context), [0, 2, 1]), batch["answer"]
