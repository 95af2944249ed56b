"""The phases of a training run: data, model, training, evaluation of what was saved, report."""

from __future__ import annotations

import logging
import shlex
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfpipe.config import TrainConfig
from tfpipe.config.profile_steps import parse_steps
from tfpipe.data.encoded import EncodedDataset
from tfpipe.data.examples import Examples
from tfpipe.data.hashing import hash_texts
from tfpipe.data.labels import parsed_labels
from tfpipe.data.quality import DataReport, report_data
from tfpipe.data.splits import PARTS, Splits
from tfpipe.data.unknown_tokens import count_unknown
from tfpipe.errors import Interrupted, UserError
from tfpipe.io.locks import training_lock
from tfpipe.model import presets, pretrained
from tfpipe.model.adapters import ADAPTERS, AdapterSettings, peft_folder
from tfpipe.model.adapters.targets import parse_targets
from tfpipe.model.checkpoint_folder import check_types
from tfpipe.model.encoder import MEAN
from tfpipe.model.head import Head
from tfpipe.model.sentence_transformers import write_modules
from tfpipe.model.text_model import TextModel, count_values
from tfpipe.report.run_outputs import Outcome, write_outcome
from tfpipe.report.tensorboard_events import TensorBoardCallback
from tfpipe.run_folder import RESUMABLE, Run, begin_run
from tfpipe.tasks import TASKS
from tfpipe.tasks.task import Task
from tfpipe.text_display import count_of
from tfpipe.training.allocator import keep_freed_memory
from tfpipe.training.callbacks import Callback
from tfpipe.training.collectives import check_agreement, report_lost_processes
from tfpipe.training.defaults import TRIMMED, default_epochs, default_head_rate, default_rate
from tfpipe.training.distillation import Teacher, open_teacher
from tfpipe.training.ending import Ending
from tfpipe.training.epoch_data import make_epoch_data
from tfpipe.training.evaluator import Evaluator
from tfpipe.training.few_shot import train_vectors_first
from tfpipe.training.precision import choose_precision
from tfpipe.training.preemption import Stopped
from tfpipe.training.preparation import Preparation
from tfpipe.training.profile import Profile
from tfpipe.training.progress import ProgressLine, Throughput
from tfpipe.training.run_context import RunContext, open_context
from tfpipe.training.strategy import describe_batch
from tfpipe.training.trainer import Trainer

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class EncodedData:
    """The tokenised data.

    Attributes:
        sets: Train, dev and, where there is one, test.
        report: The result of the data check.
    """

    sets: Sequence[EncodedDataset]
    report: DataReport


def train(prepared: Preparation) -> Run:
    """Train as configured; see tfpipe.train.train."""
    began = time.perf_counter()
    context, parts = open_context(prepared), prepared.parts
    assert parts is not None, "a process that serves others does not return"
    spec = TASKS[context.config.task]
    task = spec.task_class.from_labels(parsed_labels(parts.train, spec.rules), context.config)
    context, model = build_model(context, parts, task)
    data = encode_data(context, parts, model, task)
    teacher = open_teacher(context, model, task) if context.config.teacher else None
    begin(context, parts, model)
    history, throughput, evaluator = run_epochs(context, model, task, data, teacher)
    if not context.chief:
        return replace(context.run, written_here=False)
    assert context.config.epochs is not None
    logger.info("training: %s", Ending.of(history, context.config.epochs))
    seconds = throughput.earlier_seconds + time.perf_counter() - began
    evaluator = evaluator_of_saved(context, task, evaluator)
    finish(context, data, history, {"seconds": seconds, **throughput.rates()}, evaluator)
    return context.run


def build_model(context: RunContext, parts: Splits, task: Task) -> tuple[RunContext, TextModel]:
    """Open the model and resolve the settings that depend on it.

    Returns:
        The context with these settings resolved, and the model.

    Raises:
        UserError: The model cannot be opened, or does not fit the settings.
    """
    given = context.config
    if given.few_shot and given.pooling == "auto":
        given = replace(given, pooling=MEAN)
    config, head = resolve_pooling(given, task)
    if config.trim_vocabulary is None:
        config = replace(config, trim_vocabulary=config.model in TRIMMED)
    with context.strategy.scope():
        texts = [*parts.train.texts, *(parts.train.text_pairs or ())]
        model = presets.open_model(
            *(config.model, task.label_names, texts, config.max_length, head),
            trim=bool(config.trim_vocabulary),
        )
        start = presets.start_pooler_as_identity if config.few_shot else presets.start_pooler
        model = attach_adapter(model, config) if config.adapter else start(model)
        if len(task.inputs(parts.train.text_pairs is not None)) > 1:
            types = model.config.type_vocab_size
            check_types(config.model, types, model.tokenizer.frame)
        configure_layers(model, config)
        model = model.with_mixout(config.mixout) if config.mixout else model
    rate = config.learning_rate or default_rate(
        model.config.hidden_size, config.model, config.adapter
    )
    steps = -(-len(parts.train) // config.batch_size)
    epochs = config.epochs or default_epochs(steps, config.few_shot)
    config = replace(
        config,
        learning_rate=rate,
        head_rate=config.head_rate or default_head_rate(config.model, config.few_shot),
        epochs=1 if config.dry_run else epochs,
        precision=choose_precision(config.precision, model),
    )
    log_model(model, config)
    return replace(context, config=config), model


def log_model(model: TextModel, config: TrainConfig) -> None:
    """Log the model's size, where its weights come from, and what an adapter trains."""
    logger.info(
        "model: %s, %s parameters, %d %s, products in %s",
        *(config.model, f"{model.parameters:,}", model.columns),
        *("labels" if model.label_names else "numbers a vector", config.precision),
    )
    logger.info("weights: %s", model.origin)
    if model.adapter:
        trained, new = model.trainable_parameters, count_values(model.new_variables)
        logger.info(
            "adapter: %s, %s parameters trained, and %s of the head",
            *(model.adapter.method, f"{trained - new:,}", f"{new:,}"),
        )


def attach_adapter(model: TextModel, config: TrainConfig) -> TextModel:
    """Return the model with the configured adapter; raises UserError where it cannot have it."""
    assert config.adapter is not None
    if model.encoder is None:
        raise UserError(
            "the model cannot have an adapter: only stock TFBert computes it",
            f"hidden_act {model.config.hidden_act!r} in the configuration of {config.model}",
            "leave out --adapter, or choose another --model",
        )
    if config.adapter not in ADAPTERS:
        stored = peft_folder.read(Path(config.adapter))
        return _check_length(peft_folder.attach(model, stored), config.max_length)
    settings = AdapterSettings(
        rank=config.adapter_rank,
        alpha=config.adapter_alpha,
        rank_stabilized=config.adapter_rslora,
        targets=parse_targets(config.adapter_targets),
        dropout=config.adapter_dropout,
        seed=config.seed,
    )
    adapted = presets.start_pooler(model).with_adapter(config.adapter, settings)
    return _check_length(adapted, config.max_length)


def _check_length(model: TextModel, max_length: int) -> TextModel:
    """Return the model; raises UserError where its adapter leaves too few positions for a text."""
    assert model.adapter is not None
    left = model.config.max_position_embeddings - model.adapter.positions
    if max_length > left:
        raise UserError(
            "the inputs and the prefix are longer than the model's positions",
            f"--max-length {max_length}, and {left} of {model.config.max_position_embeddings} left",
            f"give --max-length {left} or less, or a shorter prefix with --adapter-rank",
        )
    return model


def resolve_pooling(config: TrainConfig, task: Task) -> tuple[TrainConfig, Head]:
    """Resolve `--pooling`; returns the configuration and the task's head with it."""
    if task.head.pooled:
        pooling = presets.choose_pooling(config.pooling, config.model, task.head)
        return replace(config, pooling=pooling), replace(task.head, pooling=pooling)
    if config.pooling == MEAN:
        raise UserError(
            f"--pooling mean does not fit --task {task.name}",
            "its head reads every token",
            "leave out --pooling mean",
        )
    return config, task.head


def configure_layers(model: TextModel, config: TrainConfig) -> None:
    """Freeze layers and set dropout as configured; raises UserError where the model cannot."""
    if config.freeze_layers > len(model.layers):
        raise UserError(
            "the model has fewer layers than --freeze-layers",
            f"--freeze-layers {config.freeze_layers}, the model has {len(model.layers)}",
            f"give a number up to {len(model.layers)}",
        )
    for name in ("adversarial", "smoothness", "mixout"):
        if getattr(config, name) and model.encoder is None:
            raise UserError(
                f"--{name} needs the graph of a stock TFBert",
                f"hidden_act {model.config.hidden_act!r} in the configuration of {config.model}",
                f"leave out --{name}, or choose another --model",
            )
    model.freeze(config.freeze_layers, config.freeze_embeddings)
    model.set_dropout(config.hidden_dropout, config.attention_dropout)


def encode_data(context: RunContext, parts: Splits, model: TextModel, task: Task) -> EncodedData:
    """Tokenise and check the data; a dry run keeps only the longest inputs."""
    config = context.config
    sets = [task.label(part, model.tokenizer, config.max_length) for part in parts]
    report = report_data(
        *(parts.train, parts.dev, sets[0].full_lengths, config.max_length),
        TASKS[config.task].rules,
        in_windows=sets[0].groups > len(parts.train),
    )
    unknown = count_unknown(dict(zip(PARTS, sets, strict=False)), model.tokenizer, config.model)
    report = replace(
        report, label_notes=parts.label_notes, decisions=parts.decisions, unknown=unknown
    )
    for name, value in (*report.facts, ("unknown tokens", unknown)):
        logger.info("data: %s: %s", name, value)
    notes = [*parts.decisions, *parts.label_notes, *report.warnings, *task.notes(sets[0])]
    for note in (*notes, *([unknown.note] if unknown.note else [])):
        logger.info("data: note: %s", note)
    if unknown.warning:
        logger.warning("data: warning: %s", unknown.warning)
    if config.dry_run:
        longest = [take_longest(labelled, config.batch_size) for labelled in sets]
        sets = [task.label(part, model.tokenizer, config.max_length) for part in longest]
    return EncodedData(sets, report)


def take_longest(labelled: EncodedDataset, count: int) -> Examples:
    """Take the `count` longest examples, the longest first."""
    return labelled.examples.take(
        np.argsort(-labelled.full_lengths, kind="stable")[:count].tolist()
    )


def begin(context: RunContext, parts: Splits, model: TextModel) -> None:
    """Check that all workers agree and write the run's first files; raises UserError."""
    config = context.config
    hashes = [hash_texts(part.joined(), part.labels or ()) for part in parts]
    settings = {name: value for name, value in vars(config).items() if name not in RESUMABLE}
    # A resumed run may have another `stop_after`, but all of its workers the same.
    check_agreement(
        context.strategy, data=hashes, configuration=settings, stop_after=config.stop_after
    )
    if context.chief:
        begin_run(context.run, config, parts, model)


def run_epochs(
    context: RunContext,
    model: TextModel,
    task: Task,
    data: EncodedData,
    teacher: Teacher | None = None,
) -> tuple[list[dict[str, Any]], Throughput, Evaluator]:
    """Train, with the best epoch's weights saved.

    Args:
        context: Configuration, folder and strategy.
        model: The model.
        task: Its task.
        data: Train and dev.
        teacher: Gives outputs to learn; None for none.

    Returns:
        One record an epoch, the throughput, and the evaluator of the model.

    Raises:
        Interrupted: A signal or `stop_after` ended the run, with its state saved.
        UserError: Training diverged twice, or memory or disk are too small.
    """
    config, folder = context.config, context.run.folder
    assert config.learning_rate is not None and config.epochs is not None
    batch = (config.batch_size, config.accumulate, config.learning_rate)
    logger.info(describe_batch(context.strategy, *batch))
    logger.info("training: %s, into %s", count_of(config.epochs, "epoch"), folder)
    keep_freed_memory()
    examples = data.sets[0]
    if config.few_shot:
        examples = train_vectors_first(context, model, task, examples)
    train = make_epoch_data(context, model, task, examples, teacher)
    throughput, board = Throughput(), TensorBoardCallback(context.run.logs)
    steps = parse_steps(config.profile_steps) if config.profile_steps else (0, 0)
    profile = Profile(context.run.logs, *steps)
    callbacks: list[Callback] = [throughput, ProgressLine(throughput), board, profile]
    lock = training_lock(folder / "checkpoints") if context.chief else nullcontext()
    try:
        with lock, board, profile, report_lost_processes(context.strategy):
            trainer = Trainer(context, model, task, train)
            history = trainer.fit(data.sets[1], callbacks if context.chief else ())
            throughput.earlier_seconds = trainer.checkpoints.earlier_seconds
    except Stopped as stop:
        command = f"{context.restart_command} --resume --output {shlex.quote(str(folder))}"
        raise Interrupted(
            128 + stop.signal if stop.signal else 0,
            f"stopped {stop}, state saved; resume with:\n  {command}",
        ) from None
    return history, throughput, trainer.evaluator


def evaluator_of_saved(context: RunContext, task: Task, trained: Evaluator) -> Evaluator:
    """Return an evaluator of the saved model: that of training, with the weights of the file.

    In a cluster the other workers may have ended, so that the chief needs one of its own; an
    adapter that is trained in another form than the kept one has other variables.
    """
    folder, adapter = context.run.model, trained.model.adapter
    if not context.cluster and (adapter is None or adapter.mergeable):
        with context.strategy.scope():
            pretrained.load_saved(trained.model, folder)
        return trained
    strategy = tf.distribute.get_strategy()
    with strategy.scope():
        best = pretrained.load(folder)
    return Evaluator(strategy, best, task, context.config.batch_size)


def finish(
    context: RunContext,
    data: EncodedData,
    history: Sequence[dict[str, Any]],
    speed: Mapping[str, float],
    evaluator: Evaluator,
    command: str | None = None,
) -> None:
    """Evaluate the saved model, and write metrics, report and model card.

    Only the chief does: the other workers need not see the folder.

    Args:
        context: Configuration and folder.
        data: Train, dev and perhaps test.
        history: One record an epoch.
        speed: Seconds of the run, and the rates of its steps.
        evaluator: Of the saved model.
        command: The shell line that makes the run again; None for that of training.
    """
    run = context.run
    task, dev = evaluator.tune(data.sets[1])
    pretrained.store_settings(run.model, task.head.settings)
    model = evaluator.model
    if model.head.kind == "embedding":
        mean = model.head.pooling == MEAN
        write_modules(run.model, model.columns, mean, True, context.config.max_length)
    for choice in task.choices:
        logger.info("chosen on dev: %s", choice)
    test = None
    if data.sets[2:]:
        test = task.evaluate(data.sets[2], evaluator.logits(data.sets[2].encoded))
    settings = task.head.settings
    outcome = Outcome(dev, test, history, speed, data.sets, data.report, settings, command)
    write_outcome(run, model, context.strategy, outcome)
