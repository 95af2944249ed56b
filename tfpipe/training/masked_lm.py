"""Continued pretraining: masked language modelling on texts without labels.

Source: Gururangan et al. 2020, "Don't Stop Pretraining" (https://arxiv.org/abs/2004.10964).
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import tensorflow as tf
import tf_keras

from tfpipe.config import PretrainConfig
from tfpipe.data.arrays import FloatArray
from tfpipe.data.batches import plan_reading, read_batches
from tfpipe.data.encoded import EncodedDataset
from tfpipe.data.masking import PLACES, TOKENS, MaskableRows, make_rows
from tfpipe.data.replicas import compile_for
from tfpipe.data.segmenter import Segmenter, has_chinese
from tfpipe.data.unlabelled import UnlabelledTexts
from tfpipe.errors import UserError
from tfpipe.model.masked_lm import find_new_words, open_masked, start_output_layer
from tfpipe.model.text_model import TextModel
from tfpipe.tasks.task import Batch
from tfpipe.text_display import list_few
from tfpipe.training.checkpointing import TrainProgress
from tfpipe.training.defaults import default_rate
from tfpipe.training.dropout_seeds import seed_dropout
from tfpipe.training.epoch_data import EpochData
from tfpipe.training.gradients import Gradient
from tfpipe.training.objective import Differentiable, ForwardPass, backpropagate
from tfpipe.training.optimizer import make_optimizer
from tfpipe.training.precision import LossScale, choose_precision
from tfpipe.training.progress import ProgressLine, Throughput
from tfpipe.training.schedules import make_schedule
from tfpipe.training.step_runner import StepRunner
from tfpipe.training.strategy import describe_batch, make_strategy
from tfpipe.training.train_step import TrainStep

logger = logging.getLogger(__name__)

# The first number of the seed of masks: training's, and that of the held-out texts.
TRAINING, HELD_OUT = 0, 1


@dataclass(frozen=True)
class Figures:
    """How well masked tokens are predicted.

    Attributes:
        loss: Mean cross-entropy of a masked token, in nats.
        accuracy: Share of the masked tokens that have the highest score.
    """

    loss: float
    accuracy: float


@dataclass(frozen=True)
class Pretrained:
    """A model after masked language modelling.

    Attributes:
        model: The model.
        rows: Inputs of an epoch.
        learning_rate: The peak rate.
        words: What is masked as one: a sentence for the log.
        new_words: Words that were added to the vocabulary.
        before: Figures on the held-out texts before training.
        after: The same after it.
    """

    model: TextModel
    rows: int
    learning_rate: float
    words: str
    new_words: Sequence[str]
    before: Figures
    after: Figures


def pretrain(config: PretrainConfig, texts: UnlabelledTexts) -> Pretrained:
    """Train a model on texts without labels.

    Args:
        config: The configuration, with the model's name resolved.
        texts: The texts.

    Raises:
        UserError: The model cannot be pretrained, devices are missing, or training diverges.
    """
    tf_keras.utils.set_random_seed(config.seed)
    strategy, sentence = make_strategy(config.strategy, config.devices)
    logger.info("strategy: %s", sentence)
    new_words = find_new_words(config.model, texts.train, config.add_words)
    if config.add_words:
        logger.info(f"words to add: {len(new_words):,}, {list_few(new_words) or 'none found'}")
    with strategy.scope():
        model = open_masked(config.model, texts.train, config.max_length, new_words)
    segmenter, words = _find_words([*texts.train, *texts.held_out])
    logger.info("masked are %s", words)
    rows, held_out = (
        make_rows(part, model.tokenizer, config.max_length, segmenter)
        for part in (texts.train, texts.held_out)
    )
    if "head" in model.fresh:
        start_output_layer(model, rows.encoded.ids)
    logger.info("weights: %s", model.origin)
    rate = config.learning_rate or default_rate(model.config.hidden_size, config.model)
    measure = _measuring(model, held_out.mask(config.mask, (HELD_OUT, config.seed)), config)
    before = measure()
    logger.info(f"before training: masked-LM loss {before.loss:.3f} on held-out texts")
    _train(config, strategy, model, rows, rate)
    return Pretrained(model, len(rows.encoded), rate, words, new_words, before, measure())


def _find_words(texts: Sequence[str]) -> tuple[Segmenter | None, str]:
    """Find the segmenter of Chinese words where it is needed; returns a sentence on it, too."""
    if not has_chinese(texts):
        return None, "whole words"
    segmenter = Segmenter.find()
    if segmenter is None:
        return None, "whole words; of Chinese single characters, as jieba is not installed"
    return segmenter, "whole words, of Chinese those of jieba"


class _MaskedEpochs(EpochData):
    """The rows with other masks in every epoch."""

    def __init__(self, rows: MaskableRows, config: PretrainConfig):
        self._rows, self._config = rows, config
        self.first = self._mask(0)

    @property
    def changes(self) -> bool:
        """Whether epochs differ: they do."""
        return True

    def __call__(self, epoch: int) -> tuple[EncodedDataset, FloatArray]:
        """Return the rows of an epoch, each weighted by the number of its masked tokens."""
        found = self.first if epoch == 0 else self._mask(epoch)
        return found, (found.targets[PLACES] >= 0).sum(1).astype(np.float32)

    def _mask(self, epoch: int) -> EncodedDataset:
        return self._rows.mask(self._config.mask, (TRAINING, self._config.seed, epoch))


def _train(
    config: PretrainConfig,
    strategy: tf.distribute.Strategy,
    model: TextModel,
    rows: MaskableRows,
    rate: float,
) -> None:
    """Take all steps; raises UserError where the loss is not finite."""
    settings = config.training(rate, choose_precision(config.precision, model))
    model, progress = replace(model, precision=settings.precision), TrainProgress()
    data = _MaskedEpochs(rows, config)
    total = -(-len(rows.encoded) // config.batch_size) * config.epochs
    with strategy.scope():
        schedule = make_schedule(settings, total)
        optimizer = make_optimizer(schedule, settings.weight_decay, model)
        scale = LossScale() if settings.precision == "float16" else None
    step = TrainStep(
        *(strategy, model, optimizer, masked_loss),
        rule=_dense_gradients,
        clip_norm=settings.clip_norm,
        loss_scale=scale,
        seeds=seed_dropout(model, config.seed, optimizer.iterations),
    )
    logger.info(describe_batch(strategy, config.batch_size, 1, rate))
    runner = StepRunner(settings, data, step, schedule, progress)
    throughput = Throughput()
    line = ProgressLine(throughput)
    while progress.step < total:
        metrics = runner.take()
        if not math.isfinite(metrics.loss):
            raise UserError(
                "training diverges",
                f"loss {metrics.loss} in step {metrics.step} at a peak rate of {rate:.1e}",
                "give a lower --learning-rate",
            )
        progress.count(metrics.loss)
        throughput.on_step(metrics)
        line.on_step(metrics)


def masked_loss(forward: ForwardPass, batch: Batch) -> tf.Tensor:
    """Compute the sum of the cross-entropies of a batch's masked tokens; a `Loss`."""
    return tf.reduce_sum(_cross_entropies(forward(batch), batch)[0])


def _cross_entropies(logits: tf.Tensor, batch: Batch) -> tuple[tf.Tensor, tf.Tensor]:
    """Compute float32 [M], 0 for rows of no weight, and whether each prediction is right.

    Args:
        logits: float32 [M, V], of the places that are not negative, row by row.
        batch: The columns of `MaskableRows.mask`, int32 [B, P], and `weight`.
    """
    at = tf.where(batch[PLACES] >= 0)
    used = tf.gather(batch["weight"], at[:, 0]) > 0
    tokens = tf.gather_nd(batch[TOKENS], at)
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(tokens, logits)
    right = used & (tf.argmax(logits, 1, tf.int32) == tokens)
    return tf.where(used, losses, 0.0), right


def _dense_gradients(
    loss: Differentiable, batch: Batch, variables: Sequence[tf.Variable]
) -> tuple[tf.Tensor, list[Gradient]]:
    """Take the plain gradient, with that of the word embedding as one tensor.

    The output layer reads all of its rows; TensorFlow joins both uses to slices of all of them.
    """
    value, gradients = backpropagate(loss, batch, variables)
    return value, [tf.convert_to_tensor(gradient) for gradient in gradients]


def _measuring(
    model: TextModel, masked: EncodedDataset, config: PretrainConfig
) -> Callable[[], Figures]:
    """Make the function that measures the model, in float32, always with the same masks."""
    one = tf.distribute.get_strategy()
    plan = plan_reading(masked.encoded.lengths, config.batch_size, one.num_replicas_in_sync)
    batches = read_batches(masked.encoded, plan, one, masked.targets)

    def count(batch: Batch) -> tuple[tf.Tensor, tf.Tensor]:
        losses, right = _cross_entropies(model.logits(batch), batch)
        return tf.reduce_sum(losses), tf.math.count_nonzero(right)

    compiled = compile_for(batches, count)
    total = int((masked.targets[PLACES] >= 0).sum())

    def measure() -> Figures:
        sums = np.sum([[float(value) for value in compiled(batch)] for batch in batches], axis=0)
        return Figures(*(float(value) / total for value in sums))

    return measure
