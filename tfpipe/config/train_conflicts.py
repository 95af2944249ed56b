"""Settings of training that cannot be combined."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tfpipe.config.adapter_conflicts import adapter_conflicts
from tfpipe.config.augment import parse_augment
from tfpipe.config.profile_steps import parse_steps
from tfpipe.config.settings import Conflict, find_ignored, flag_of
from tfpipe.errors import UserError, did_you_mean
from tfpipe.tasks import TASKS

# A setting, and the other setting and its values without which it would be ignored.
REQUIRED_SETTINGS = (
    ("focal_gamma", "loss", ("focal",)),
    ("temperature", "task", ("embed",)),
    ("few_shot", "task", ("classify",)),
    ("schedule_power", "schedule", ("polynomial",)),
    ("adversarial_steps", "adversarial", ("pgd", "freelb")),
    ("workers", "strategy", ("multi_worker", "auto")),
    ("worker_index", "strategy", ("multi_worker", "auto")),
    ("tpu", "strategy", ("tpu", "auto")),
)
# A setting, and those of which one must be given for it to have an effect.
OWNED_SETTINGS = (
    ("adversarial_norm", ("adversarial", "smoothness")),
    ("teacher_share", ("teacher",)),
    ("teacher_temperature", ("teacher",)),
    ("teacher_states", ("teacher",)),
    ("teacher_relations", ("teacher",)),
)
# Two settings that cannot be combined, and why.
EXCLUSIVE_SETTINGS = (
    ("r_drop", "smoothness", "both are divergences of two passes"),
    ("teacher", "r_drop", "each is a loss of its own"),
    ("teacher", "smoothness", "each is a loss of its own"),
    ("teacher", "few_shot", "the head of few texts learns from their labels"),
    ("mixout", "adapter", "beside an adapter no pretrained weight changes"),
    ("mixout", "few_shot", "vectors of few texts are trained for a few steps only"),
)


def find_conflicts(config: Any) -> Iterator[Conflict]:
    """Yield settings of a TrainConfig that cannot be combined, each with its fields' names."""
    yield from _ignored_settings(config)
    yield from _task_conflicts(config)
    yield from _few_shot_conflicts(config)
    yield from _metric_conflicts(config)
    yield from _loss_conflicts(config)
    yield from _objective_conflicts(config)
    yield from _device_conflicts(config)
    yield from adapter_conflicts(config)
    yield from _run_conflicts(config)


def _run_conflicts(config: Any) -> Iterator[Conflict]:
    if config.model == "tiny" and config.trim_vocabulary:
        yield (
            ("model", "trim_vocabulary"),
            UserError(
                "the vocabulary of tiny is learnt from the texts, so there is nothing to trim",
                "--model tiny --trim-vocabulary",
                "leave out --trim-vocabulary, or choose another --model",
            ),
        )
    for name, parse in (("profile_steps", parse_steps), ("augment", parse_augment)):
        try:
            if getattr(config, name):
                parse(getattr(config, name))
        except UserError as error:
            yield (name,), error
    if config.dry_run and config.resume:
        yield (
            ("dry_run", "resume"),
            UserError("a dry run cannot resume", "--dry-run --resume", "leave out one of them"),
        )


def _ignored_settings(config: Any) -> Iterator[Conflict]:
    default = type(config)()
    for name, owner, wanted in REQUIRED_SETTINGS:
        value, chosen = getattr(config, name), getattr(config, owner)
        if value != getattr(default, name) and chosen not in wanted:
            flag, owner_flag = flag_of(name), flag_of(owner)
            yield (
                (name, owner),
                UserError(
                    f"{flag} has no effect without {owner_flag} {wanted[0]}",
                    f"{flag} {value} with {owner_flag} {chosen}",
                    f"add {owner_flag} {wanted[0]}, or leave out {flag}",
                ),
            )


def _task_conflicts(config: Any) -> Iterator[Conflict]:
    default = type(config)()
    for name, reason in TASKS[config.task].inapplicable.items():
        value, flag = getattr(config, name), flag_of(name)
        if value != getattr(default, name):
            yield (
                ("task", name),
                UserError(
                    f"--task {config.task} has no {flag}: {reason}",
                    f"{flag} {value} with --task {config.task}",
                    f"leave out {flag}, or use another --task",
                ),
            )


def _few_shot_conflicts(config: Any) -> Iterator[Conflict]:
    parts = ("adapter", "freeze_layers", "freeze_embeddings")
    given = [name for name in parts if getattr(config, name)]
    if config.few_shot and given:
        yield (
            ("few_shot", *given),
            UserError(
                f"--few-shot and {flag_of(given[0])} exclude each other",
                f"--few-shot with {', '.join(map(flag_of, given))}",
                "leave out one of them: of few texts the vectors are trained first, then the head",
            ),
        )


def _loss_conflicts(config: Any) -> Iterator[Conflict]:
    yield from find_ignored(config, OWNED_SETTINGS)
    for one, other, reason in EXCLUSIVE_SETTINGS:
        if getattr(config, one) and getattr(config, other):
            flag, second = flag_of(one), flag_of(other)
            yield (
                (one, other),
                UserError(
                    f"{flag} and {second} exclude each other",
                    f"{flag} {getattr(config, one)} with {second}",
                    f"leave out one of them: {reason}",
                ),
            )


def _metric_conflicts(config: Any) -> Iterator[Conflict]:
    known = TASKS[config.task].metrics
    if config.best_metric not in known:
        yield (
            ("task", "best_by"),
            UserError(
                f"--best-by is not a metric of --task {config.task}",
                repr(config.best_by),
                f"{did_you_mean(config.best_metric, known)}choose one of {', '.join(known)}",
            ),
        )


def _objective_conflicts(config: Any) -> Iterator[Conflict]:
    if config.loss == "focal" and config.label_smoothing:
        yield (
            ("loss", "label_smoothing"),
            UserError(
                "focal loss and label smoothing cannot be combined",
                f"--loss focal with --label-smoothing {config.label_smoothing}",
                "leave out one of the two",
            ),
        )
    if config.schedule == "constant" and config.final_rate:
        yield (
            ("schedule", "final_rate"),
            UserError(
                "--final-rate has no effect with a constant schedule",
                f"--schedule constant with --final-rate {config.final_rate}",
                "leave out --final-rate, or choose another schedule",
            ),
        )
    if config.r_drop and config.hidden_dropout == 0 and config.attention_dropout == 0:
        yield (
            ("r_drop", "hidden_dropout", "attention_dropout"),
            UserError(
                "R-Drop needs dropout",
                f"--r-drop {config.r_drop} with --hidden-dropout 0 --attention-dropout 0",
                "leave out --r-drop, or set a dropout above 0",
            ),
        )


def _device_conflicts(config: Any) -> Iterator[Conflict]:
    if config.strategy == "tpu" and config.precision == "float16":
        yield (
            ("strategy", "precision"),
            UserError(
                "a TPU does not support float16",
                "--strategy tpu with --precision float16",
                "use --precision bfloat16",
            ),
        )
    if config.strategy == "one_device" and config.devices > 1:
        yield (
            ("strategy", "devices"),
            UserError(
                "--strategy one_device uses one device",
                f"--devices {config.devices} with --strategy one_device",
                "use --strategy mirrored, or leave out --devices",
            ),
        )
    if config.tpu is not None and config.strategy == "auto" and config.workers is not None:
        yield (
            ("tpu", "workers"),
            UserError(
                "--tpu and --workers cannot be combined",
                f"--tpu {config.tpu} with --workers {config.workers}",
                "leave out one of the two",
            ),
        )
