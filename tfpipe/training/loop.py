"""The training loop: epochs of steps, a look at dev after each, the best epoch kept."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfpipe.config import TrainConfig
from tfpipe.data.batches import compile_for, plan_training, read_batches
from tfpipe.data.encode import Labelled
from tfpipe.files import folder_aside
from tfpipe.model import checkpoint
from tfpipe.model.checkpoint import Classifier
from tfpipe.tasks.classify import Classify
from tfpipe.training.evaluator import Evaluator
from tfpipe.training.observer import Observer, Step
from tfpipe.training.optimizer import LinearWarmupDecay, make_optimizer
from tfpipe.training.state import State, StopRequest
from tfpipe.training.step import make_train_step


class Stopped(Exception):
    """A signal stopped the run after a whole step, with its state saved."""

    def __init__(self, signal: int):
        super().__init__(f"signal {signal}")
        self.signal = signal


def fit(
    config: TrainConfig,
    strategy: tf.distribute.Strategy,
    classifier: Classifier,
    task: Classify,
    train: Labelled,
    dev: Labelled,
    folder: Path,
    observers: Sequence[Observer],
) -> list[dict[str, Any]]:
    """Train and leave the best epoch's weights in `folder`/model; returns one record an epoch.

    Raises Stopped when SIGINT or SIGTERM came, after the step at hand and with the state saved.
    """
    # ---- what the whole run shares
    replicas = strategy.num_replicas_in_sync
    per_epoch = -(-len(train.examples) // config.batch_size)
    assert config.learning_rate is not None and config.epochs is not None
    steps = per_epoch * config.epochs
    weights = None
    if config.class_weights == "balanced":
        weights = task.balanced_weights(train.gold)
    schedule = LinearWarmupDecay(config.learning_rate, round(config.warmup * steps), steps)
    with strategy.scope():
        optimizer = make_optimizer(schedule, config.weight_decay, classifier.bert)
    train_step = make_train_step(
        strategy, classifier, task, optimizer, config.clip_norm, config.accumulate
    )
    compiled_step = None
    evaluator = Evaluator(strategy, classifier, task, config.batch_size)
    state = State(folder / "checkpoints", classifier.bert, optimizer)
    if config.resume:
        state.restore()
    progress = state.progress

    with StopRequest() as stop:
        for epoch in range(progress.step // per_epoch, config.epochs):
            if _waited_enough(progress.history, config.early_stopping):
                break
            # ---- an epoch of steps
            first = progress.step % per_epoch
            plan = plan_training(
                train.encoded.lengths,
                config.batch_size,
                replicas,
                config.accumulate,
                (config.seed, epoch),
            )
            batches = read_batches(train.encoded, plan, strategy, train.gold, weights, first)
            compiled_step = compiled_step or compile_for(batches, train_step)
            losses = []
            began = time.perf_counter()
            for position, batch in enumerate(batches, start=first):
                rate = float(schedule(progress.step))
                results = {name: float(v) for name, v in compiled_step(batch).items()}
                progress.step += 1
                losses.append(results["loss"])
                now = time.perf_counter()
                done = Step(
                    step=progress.step,
                    steps=steps,
                    epoch=epoch + 1,
                    learning_rate=rate,
                    examples=plan.examples(position),
                    tokens=plan.tokens(position),
                    places=plan.places(position),
                    seconds=now - began,
                    **results,
                )
                began = now
                for observer in observers:
                    observer.on_step(done)
                # After an epoch's last step dev is looked at first: going on starts an epoch.
                if stop.signal is not None and progress.step % per_epoch:
                    state.save()
                    raise Stopped(stop.signal)

            # ---- a look at dev
            evaluation = evaluator.evaluate(dev)
            figure = evaluation.figures[task.figure]
            best = progress.best
            record = {
                "epoch": epoch + 1,
                "step": progress.step,
                "loss": float(np.mean(losses)) if losses else None,
                **{f"dev_{name}": value for name, value in evaluation.figures.items()},
                "best": best is None or figure > best[f"dev_{task.figure}"],
            }
            if record["best"]:
                with folder_aside(folder / "model") as aside:
                    checkpoint.save(classifier, aside)
            progress.history.append(record)
            state.save()
            for observer in observers:
                observer.on_epoch(record, evaluation)
            if stop.signal is not None:
                raise Stopped(stop.signal)
    return progress.history


def _waited_enough(history: list[dict[str, Any]], patience: int) -> bool:
    """Whether the last `patience` epochs all failed to become the best; never at 0."""
    recent = history[-patience:]
    return bool(patience) and len(recent) == patience and not any(r["best"] for r in recent)
