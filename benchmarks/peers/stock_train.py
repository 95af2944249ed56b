"""Peer of benchmarks/train.py: TFBert as in tutorials, padded, with Keras' AdamW and fit.

python stock_train.py JOB.json
"""

from __future__ import annotations

import os

os.environ |= {"TF_USE_LEGACY_KERAS": "1", "USE_TORCH": "0", "TF_CPP_MIN_LOG_LEVEL": "3"}

import numpy as np
import tensorflow as tf
import tf_keras
from slices import (
    CLIP_NORM,
    SLICED_EPOCHS,
    WARMUP,
    WEIGHT_DECAY,
    Job,
    Rows,
    answer_lines,
    read_job,
    read_rows,
)
from transformers import AutoTokenizer, TFAutoModelForSequenceClassification, WarmUp


class StockTrainer:
    """Every text padded to the maximum length; everything else is Keras' own."""

    def __init__(self, job: Job):
        self.job = job
        self.tokenizer = AutoTokenizer.from_pretrained(job.model)
        self.rows = read_rows(job.train)
        self.inputs = self.encode(self.rows)
        self.per_epoch = -(-len(self.rows.texts) // job.batch_size)
        self.begin(SLICED_EPOCHS)

    def encode(self, rows: Rows) -> dict[str, np.ndarray]:
        """Return token ids int32 [N, max_length]."""
        encoded = self.tokenizer(
            rows.texts,
            truncation=True,
            padding="max_length",
            max_length=self.job.max_length,
            return_tensors="np",
        )
        return {name: value.astype(np.int32) for name, value in encoded.items()}

    def begin(self, epochs: int) -> None:
        """Create new weights, optimizer and batches."""
        tf_keras.utils.set_random_seed(1)
        self.model = TFAutoModelForSequenceClassification.from_pretrained(
            self.job.model, num_labels=len(self.rows.label_names)
        )
        steps, rate = self.per_epoch * epochs, self.job.learning_rate
        warmup = round(WARMUP * steps)
        fall = tf_keras.optimizers.schedules.PolynomialDecay(rate, max(1, steps - warmup), 0.0)
        optimizer = tf_keras.optimizers.AdamW(
            WarmUp(rate, fall, max(1, warmup)),
            weight_decay=WEIGHT_DECAY,
            global_clipnorm=CLIP_NORM,
        )
        optimizer.exclude_from_weight_decay(var_names=["bias", "LayerNorm"])
        loss = tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        self.model.compile(optimizer, loss)
        gold = np.array(self.rows.gold, np.int32)
        rows = tf.data.Dataset.from_tensor_slices((self.inputs, gold)).shuffle(len(gold), seed=1)
        self.batches = rows.batch(self.job.batch_size).prefetch(2).repeat()

    def train(self, steps: int) -> tuple[int, int]:
        """Train for `steps`; return examples and tokens, padding not counted.

        Keras does not report the rows of a batch, so tokens are counted by their mean.
        """
        self.model.fit(self.batches, steps_per_epoch=steps, epochs=1, verbose=0)
        examples = steps * self.job.batch_size
        mean = self.inputs["attention_mask"].sum() / len(self.rows.texts)
        return examples, round(examples * mean)

    def accuracy(self) -> float:
        """Return the dev accuracy of a new model after the job's epochs."""
        self.begin(self.job.epochs)
        self.model.fit(
            self.batches, steps_per_epoch=self.per_epoch, epochs=self.job.epochs, verbose=0
        )
        dev = read_rows(self.job.dev, self.rows.label_names)
        logits = self.model.predict(self.encode(dev), batch_size=64, verbose=0).logits
        return float((logits.argmax(-1) == np.array(dev.gold)).mean())


if __name__ == "__main__":
    answer_lines(StockTrainer(read_job()))
