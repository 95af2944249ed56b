"""Settings of a training that do not go together."""

from __future__ import annotations

from collections.abc import Iterator

from tfpipe.config.fields import flag_of
from tfpipe.config.train import TrainConfig
from tfpipe.errors import UserError, did_you_mean
from tfpipe.tasks import TASKS

# A setting that would be ignored, the one it belongs to, and the values that this one must have.
BELONGINGS = (
    ("focal_gamma", "loss", ("focal",)),
    ("schedule_power", "schedule", ("polynomial",)),
    ("workers", "strategy", ("multi_worker", "auto")),
    ("worker_index", "strategy", ("multi_worker", "auto")),
    ("tpu", "strategy", ("tpu", "auto")),
)

Conflict = tuple[tuple[str, ...], UserError]


def find_conflicts(config: TrainConfig) -> Iterator[Conflict]:
    """Each conflict with the names of the fields that it is about."""
    default = type(config)()
    for name, owner, wanted in BELONGINGS:
        value, chosen = getattr(config, name), getattr(config, owner)
        if value != getattr(default, name) and chosen not in wanted:
            flag, owner_flag = flag_of(name), flag_of(owner)
            yield (
                (name, owner),
                UserError(
                    f"{flag} says nothing without {owner_flag} {wanted[0]}",
                    f"{flag} {value} with {owner_flag} {chosen}",
                    f"add {owner_flag} {wanted[0]}, or leave out {flag}",
                ),
            )
    yield from _task_conflicts(config)
    yield from _figure_conflicts(config)
    yield from _objective_conflicts(config)
    yield from _device_conflicts(config)


def _task_conflicts(config: TrainConfig) -> Iterator[Conflict]:
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


def _figure_conflicts(config: TrainConfig) -> Iterator[Conflict]:
    known = TASKS[config.task].metrics
    if config.best_metric not in known:
        yield (
            ("task", "best_by"),
            UserError(
                f"--best-by names no figure of --task {config.task}",
                repr(config.best_by),
                f"{did_you_mean(config.best_metric, known)}choose one of {', '.join(known)}",
            ),
        )


def _objective_conflicts(config: TrainConfig) -> Iterator[Conflict]:
    if config.loss == "focal" and config.label_smoothing:
        yield (
            ("loss", "label_smoothing"),
            UserError(
                "focal loss and label smoothing do not go together: one trusts a sure answer"
                " more, the other forbids it",
                f"--loss focal with --label-smoothing {config.label_smoothing}",
                "leave out one of the two",
            ),
        )
    if config.schedule == "constant" and config.final_rate:
        yield (
            ("schedule", "final_rate"),
            UserError(
                "a constant rate does not fall, so it has no share left at the end",
                f"--schedule constant with --final-rate {config.final_rate}",
                "leave out --final-rate, or choose another schedule",
            ),
        )
    if config.r_drop and config.hidden_dropout == 0 and config.attention_dropout == 0:
        yield (
            ("r_drop", "hidden_dropout", "attention_dropout"),
            UserError(
                "R-Drop compares two passes that differ by their dropout, and there is none",
                f"--r-drop {config.r_drop} with --hidden-dropout 0 --attention-dropout 0",
                "leave out --r-drop, or one of the zeros",
            ),
        )


def _device_conflicts(config: TrainConfig) -> Iterator[Conflict]:
    if config.strategy == "tpu" and config.precision == "float16":
        yield (
            ("strategy", "precision"),
            UserError(
                "a TPU has no float16",
                "--strategy tpu with --precision float16",
                "use --precision bfloat16",
            ),
        )
    if config.strategy == "one_device" and config.devices > 1:
        yield (
            ("strategy", "devices"),
            UserError(
                "--strategy one_device takes one device",
                f"--devices {config.devices} with --strategy one_device",
                "use --strategy mirrored, or leave out --devices",
            ),
        )
    if config.tpu is not None and config.strategy == "auto" and config.workers is not None:
        yield (
            ("tpu", "workers"),
            UserError(
                "training is either on a TPU or in the processes of --workers",
                f"--tpu {config.tpu} with --workers {config.workers}",
                "leave out one of the two",
            ),
        )
