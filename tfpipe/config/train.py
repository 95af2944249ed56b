"""What training needs, setting by setting."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tfpipe.config.settings import Conflict, flag_of, setting
from tfpipe.errors import UserError, did_you_mean
from tfpipe.tasks import TASKS

STRATEGIES = ("auto", "one_device", "mirrored", "multi_worker", "parameter_server", "tpu")
PRECISIONS = ("auto", "float32", "bfloat16", "float16")
CLASS_WEIGHTS = ("none", "balanced")
LOSSES = ("cross_entropy", "focal")
LANGUAGES = ("en", "zh")
LONG_TEXTS = ("head", "head_tail", "windows")
SCHEDULES = ("linear", "cosine", "polynomial", "constant")
# A setting that would be ignored, the one it belongs to, and the values that this one must have.
BELONGINGS = (
    ("focal_gamma", "loss", ("focal",)),
    ("schedule_power", "schedule", ("polynomial",)),
    ("workers", "strategy", ("multi_worker", "auto")),
    ("worker_index", "strategy", ("multi_worker", "auto")),
    ("tpu", "strategy", ("tpu", "auto")),
)


@dataclass(frozen=True)
class TrainConfig:
    """Everything `tfpipe.train` needs; field names are flag names and keys of the YAML file."""

    task: str = setting("classify", "what is learnt", choices=tuple(TASKS), group="data")
    train: str | None = setting(
        None,
        "training file: .csv .tsv .jsonl .parquet, .conll for tag, SQuAD .json for qa, or .gz of"
        " these (default: the shipped sample)",
        group="data",
    )
    dev: str = setting(
        "0.1", "dev file, or the share of train to cut off as dev, between 0 and 1", group="data"
    )
    test: str | None = setting(None, "test file, evaluated once at the end", group="data")
    text: str | None = setting(None, "name of the text column (default: found)", group="data")
    text_pair: str | None = setting(
        None, "name of the second text's column (default: found)", group="data"
    )
    label: str | None = setting(None, "name of the label column (default: found)", group="data")
    abstain: str | None = setting(
        None,
        "hold answers back: the label of texts that no other label fits, or the share of answers"
        " that may be wrong, such as 0.05; alone, it finds a label such as oos",
        alone="auto",
        group="objective",
    )
    model: str = setting(
        "starter",
        "`starter` (pip-installed English MiniLM), `tiny` (small, random), a folder, or a hub id",
        group="model",
    )
    max_length: int = setting(
        128, "longest input in tokens, specials included", minimum=4, maximum=512, group="model"
    )
    long_text: str = setting(
        "head",
        "what is read of longer texts: `head` (the first tokens), `head_tail` (the first quarter"
        " and the last three), `windows` (all, in overlapping windows; takes longer)",
        choices=LONG_TEXTS,
        group="model",
    )
    strategy: str = setting(
        "auto", "how devices share the work", choices=STRATEGIES, group="devices"
    )
    devices: int = setting(
        0,
        "devices to use, 0 for all; without a GPU, logical CPU devices",
        minimum=0,
        group="devices",
    )
    precision: str = setting(
        "auto",
        "type of the matrix products: auto is bfloat16 where the device computes in it, else"
        " float32; float16 scales its loss",
        choices=PRECISIONS,
        group="devices",
    )
    epochs: int | None = setting(
        None,
        "passes over the training file (default: 4, up to 10 for small files)",
        minimum=1,
        group="training",
    )
    batch_size: int = setting(
        32, "examples in a step, over all devices", minimum=1, group="training"
    )
    accumulate: int = setting(
        1, "parts a batch is computed in, to save memory", minimum=1, group="training"
    )
    learning_rate: float | None = setting(
        None, "peak rate (default: by model width; 1.5e-4 for starter)", above=0, group="training"
    )
    warmup: float = setting(
        0.1, "share of the steps with a rising rate", minimum=0, maximum=1, group="training"
    )
    weight_decay: float = setting(
        0.01, "decoupled decay; none on biases and norms", minimum=0, group="training"
    )
    clip_norm: float = setting(
        1.0, "global gradient norm is cut to this", above=0, group="training"
    )
    class_weights: str = setting(
        "none",
        "`balanced` weighs labels by inverse frequency",
        choices=CLASS_WEIGHTS,
        group="training",
    )
    loss: str = setting(
        "cross_entropy", "what a wrong answer costs", choices=LOSSES, group="objective"
    )
    focal_gamma: float = setting(
        2.0,
        "focal loss: how little easy examples count, 0 for all alike",
        minimum=0,
        group="objective",
    )
    label_smoothing: float = setting(
        0.0, "share of the target spread over all labels", minimum=0, below=1, group="objective"
    )
    r_drop: float = setting(
        0.0,
        "R-Drop: weight of the divergence of two dropout passes, 0 for one pass; time doubles",
        minimum=0,
        group="objective",
    )
    l2: float = setting(
        0.0,
        "L2 penalty, half of it times the squared weights, in the gradient; none on biases and"
        " norms",
        minimum=0,
        group="objective",
    )
    hidden_dropout: float | None = setting(
        None,
        "share of hidden values dropped (default: the model's, mostly 0.1)",
        minimum=0,
        below=1,
        group="objective",
    )
    attention_dropout: float | None = setting(
        None,
        "share of attention dropped (default: the model's, mostly 0.1)",
        minimum=0,
        below=1,
        group="objective",
    )
    schedule: str = setting(
        "linear", "how the rate falls after the warm-up", choices=SCHEDULES, group="rates"
    )
    schedule_power: float = setting(
        2.0, "exponent of the polynomial schedule", above=0, group="rates"
    )
    final_rate: float = setting(
        0.0, "share of the peak rate left at the end", minimum=0, maximum=1, group="rates"
    )
    head_rate: float | None = setting(
        None, "peak rate of pooler and head (default: as --learning-rate)", above=0, group="rates"
    )
    layer_decay: float = setting(
        1.0,
        "factor of the rate from each layer to the one below, embeddings last",
        above=0,
        maximum=1,
        group="rates",
    )
    freeze_layers: int = setting(
        0,
        "first layers to keep as they are, and the embeddings with them",
        minimum=0,
        group="rates",
    )
    freeze_embeddings: bool = setting(False, "keep the embeddings as they are", group="rates")
    ema: float = setting(
        0.0,
        "decay of a moving average of the weights, which is then evaluated and saved, such as"
        " 0.999; 0 for none",
        minimum=0,
        below=1,
        group="rates",
    )
    best_by: str | None = setting(
        None,
        "dev figure that the best epoch is chosen by, for early stopping too; of epochs that tie"
        " in it the one with the lowest dev loss (default: the task's own, accuracy of classify)",
        group="training",
    )
    early_stopping: int = setting(
        3,
        "epochs without progress before stopping, 0 for never: the figure of --best-by is not"
        " better, and dev loss is above its lowest by more than 1/N of it (N dev examples); a"
        " better figure or a lower loss begins the count again",
        minimum=0,
        group="training",
    )
    seed: int = setting(
        1, "seeds the dev cut, the order and fresh weights", minimum=0, group="training"
    )
    deterministic: bool = setting(
        False, "bit-equal repeats on the same machine, slower", group="training"
    )
    output: str | None = setting(
        None, "the run's folder (default: runs/<task>-<date>-<time>)", group="run"
    )
    resume: bool = setting(False, "go on with the run in --output", group="run")
    stop_after: int | None = setting(
        None,
        "epoch after which this start of the run stops, with its state saved and the schedule of"
        " all epochs, for --resume to go on",
        minimum=1,
        group="run",
    )
    language: str = setting("en", "language of report.html", choices=LANGUAGES, group="run")
    json: bool = setting(False, "print metrics.json instead of a table", group="run")
    # ---- what is kept, and looking closer (training/state.py, profile.py, train.py)
    checkpoint_steps: int = setting(
        0,
        "steps between checkpoints beside those at epoch ends, 0 for none",
        minimum=0,
        group="run",
    )
    checkpoint_minutes: float = setting(
        10.0,
        "minutes between checkpoints beside those at epoch ends, 0 for none",
        minimum=0,
        group="run",
    )
    keep_checkpoints: int = setting(2, "newest checkpoints to keep", minimum=1, group="run")
    profile_steps: str | None = setting(
        None, "FIRST,LAST: steps to profile for TensorBoard, such as 10,20", group="run"
    )
    dry_run: bool = setting(
        False,
        "take the longest batch through train, checkpoint, export, reload and predict; keep"
        " nothing",
        group="run",
    )
    # ---- several processes (training/cluster.py); each process has its own values of these
    workers: str | None = setting(
        None,
        "host:port,... of all workers of multi_worker (default: what TF_CONFIG says)",
        group="processes",
    )
    worker_index: int | None = setting(
        None,
        "which of --workers this process is, from 0 (default: what TF_CONFIG says)",
        minimum=0,
        group="processes",
    )
    worker_timeout: int = setting(
        300, "seconds to wait for the other processes", minimum=1, group="processes"
    )
    tpu: str | None = setting(
        None, "the TPU's name or address (default: TPU_NAME, or this machine's)", group="processes"
    )

    @property
    def best_metric(self) -> str:
        """The dev figure that the best epoch is chosen by."""
        return self.best_by or next(iter(TASKS[self.task].metrics))

    def conflicts(self) -> Iterator[Conflict]:
        """Yield settings that cannot be combined, each with the names of its fields."""
        yield from _ignored_settings(self)
        yield from _task_conflicts(self)
        yield from _metric_conflicts(self)
        yield from _objective_conflicts(self)
        yield from _device_conflicts(self)


def _ignored_settings(config: TrainConfig) -> Iterator[Conflict]:
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


def _metric_conflicts(config: TrainConfig) -> Iterator[Conflict]:
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
