"""The configuration of training."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tfpipe.config.adapter_conflicts import ADAPTERS
from tfpipe.config.reading import RARE_LABELS, offsets_setting
from tfpipe.config.settings import LANGUAGES, Conflict, setting
from tfpipe.config.train_conflicts import find_conflicts
from tfpipe.tasks import TASKS

STRATEGIES = ("auto", "one_device", "mirrored", "multi_worker", "parameter_server", "tpu")
PRECISIONS = ("auto", "float32", "bfloat16", "float16")
CLASS_WEIGHTS = ("none", "balanced")
LOSSES = ("cross_entropy", "focal")
POOLINGS = ("auto", "first", "cls", "mean")
LONG_TEXTS = ("head", "head_tail", "windows")
SCHEDULES = ("linear", "cosine", "polynomial", "constant")
ADVERSARIAL = ("fgm", "pgd", "freelb")


@dataclass(frozen=True)
class TrainConfig:
    """The configuration of `tfpipe.train`; field names are flags and keys of the YAML file."""

    task: str = setting("classify", "what the model predicts", choices=tuple(TASKS), group="data")
    train: str | None = setting(
        None,
        "training file: .csv .tsv .jsonl .json .parquet .xlsx, .conll for tag, SQuAD .json for qa,"
        " or .gz of these (default: the sample data)",
        group="data",
    )
    dev: str = setting(
        "0.1",
        "dev file, or the share of the training file to use as dev, between 0 and 1",
        group="data",
    )
    test: str | None = setting(None, "test file, evaluated once at the end", group="data")
    text: str | None = setting(None, "text column (default: detected)", group="data")
    text_pair: str | None = setting(
        None, "column of the second text (default: detected)", group="data"
    )
    label: str | None = setting(None, "label column (default: detected)", group="data")
    header: bool | None = setting(
        None,
        "the first row of a file has the names of the columns; without, columns are numbered from"
        " 1 where they are not evident (default: detected)",
        group="data",
    )
    rare_labels: str = setting(
        "error",
        "labels with one row in train, and labels of dev or test that train lacks: refuse both,"
        " drop their rows (multilabel: the labels), or keep the former and drop the latter",
        choices=RARE_LABELS,
        group="data",
    )
    offsets: str = offsets_setting(group="data")
    abstain: str | None = setting(
        None,
        "abstain from uncertain answers: the label of out-of-scope texts, or the largest share of"
        " wrong answers, such as 0.05; without a value a label such as oos is detected",
        alone="auto",
        group="objective",
    )
    model: str = setting(
        "auto",
        "`starter` (pip-installed English MiniLM), `multilingual` (pip-installed"
        " multilingual-e5-small), `tiny` (small, random), a folder, or a hub id; `auto` takes"
        " multilingual for texts that are not English",
        group="model",
    )
    max_length: int = setting(
        128, "longest input in tokens, with special tokens", minimum=4, maximum=512, group="model"
    )
    long_text: str = setting(
        "head",
        "part of longer texts to use: `head` (the first tokens), `head_tail` (a quarter from the"
        " start, the rest from the end), `windows` (all, in overlapping windows; slower)",
        choices=LONG_TEXTS,
        group="model",
    )
    trim_vocabulary: bool | None = setting(
        None,
        "leave out the tokens of scripts that the texts do not have, which makes model and export"
        " smaller; other texts are divided as before (default: on for multilingual)",
        group="model",
    )
    pooling: str = setting(
        "auto",
        "what a head for whole texts reads: the first token (`first`, also called `cls`), or the"
        " mean of all; auto is mean for embed, and where a folder or a model of the hub says so",
        choices=POOLINGS,
        group="model",
    )
    adapter: str | None = setting(
        None,
        f"train an adapter beside the model, which stays as it is: {', '.join(ADAPTERS)}, or the"
        " folder of one to train on, of a run or of peft (default: the whole model is trained)",
        group="adapter",
    )
    adapter_rank: int = setting(
        8,
        "rank of lora and dora, width of bottleneck, positions of prefix",
        minimum=1,
        group="adapter",
    )
    adapter_alpha: float = setting(
        16.0,
        "strength of the change of lora and dora: it is scaled by alpha / rank",
        above=0,
        group="adapter",
    )
    adapter_rslora: bool = setting(
        False, "scale it by alpha / sqrt(rank) instead, for high ranks", group="adapter"
    )
    adapter_targets: str = setting(
        "all",
        "what they change: all, or some of query, key, value, attention_output, intermediate,"
        " output, separated by commas; bottleneck only attention_output and output",
        group="adapter",
    )
    adapter_dropout: float = setting(
        0.0, "dropout of the input of the change", minimum=0, below=1, group="adapter"
    )
    strategy: str = setting(
        "auto", "distribution over devices and processes", choices=STRATEGIES, group="devices"
    )
    devices: int = setting(
        0,
        "devices to use, 0 for all; logical CPU devices without a GPU",
        minimum=0,
        group="devices",
    )
    precision: str = setting(
        "auto",
        "dtype of the matrix products: auto is bfloat16 where the hardware supports it, else"
        " float32; float16 uses a loss scale",
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
        1, "parts to split a batch into, to save memory", minimum=1, group="training"
    )
    learning_rate: float | None = setting(
        None,
        "peak learning rate (default: by model width; 3e-4 for starter, 1e-4 for multilingual)",
        above=0,
        group="training",
    )
    warmup: float = setting(
        0.1,
        "share of the steps with a rising learning rate",
        minimum=0,
        maximum=1,
        group="training",
    )
    weight_decay: float = setting(
        0.01, "decoupled weight decay; none on biases and layer norms", minimum=0, group="training"
    )
    clip_norm: float = setting(
        1.0, "largest global norm of the gradient", above=0, group="training"
    )
    few_shot: bool = setting(
        False,
        "for some ten texts a label: first train vectors that are near for texts of one label, then"
        " the head alone",
        group="training",
    )
    class_weights: str = setting(
        "none",
        "`balanced` weighs labels by inverse frequency",
        choices=CLASS_WEIGHTS,
        group="training",
    )
    loss: str = setting("cross_entropy", "training loss", choices=LOSSES, group="objective")
    focal_gamma: float = setting(
        2.0,
        "gamma of the focal loss; 0 weighs all examples equally",
        minimum=0,
        group="objective",
    )
    label_smoothing: float = setting(
        0.0,
        "share of the target that is spread over all labels",
        minimum=0,
        below=1,
        group="objective",
    )
    r_drop: float = setting(
        0.0,
        "R-Drop: weight of the divergence of two dropout passes; 0 for off, else twice the time",
        minimum=0,
        group="objective",
    )
    temperature: float = setting(
        0.05,
        "by which cosines are divided in the losses of embed; lower weighs the nearest texts more",
        above=0,
        group="objective",
    )
    teacher: str | None = setting(
        None,
        "distillation: folder of a finished run whose outputs are learnt beside the labels",
        group="objective",
    )
    teacher_share: float = setting(
        0.5, "share of the teacher in the loss", above=0, maximum=1, group="objective"
    )
    teacher_temperature: float = setting(
        2.0,
        "by which the outputs of both are divided; higher weighs improbable labels more",
        above=0,
        group="objective",
    )
    teacher_states: float = setting(
        0.0,
        "weight of the distance from the teacher's layers, of the mean over a text's tokens; 0 for"
        " off",
        minimum=0,
        group="objective",
    )
    teacher_relations: float = setting(
        0.0,
        "weight of the divergence from the relations between tokens in the teacher's last layer; 0"
        " for off",
        minimum=0,
        group="objective",
    )
    augment: str | None = setting(
        None,
        "change the training texts anew in each epoch: typos:0.1,swap:0.1,... with the share of"
        " the words or places, synonyms:0.2@FILE, back:COMMAND; see the documentation of training",
        group="robustness",
    )
    adversarial: str | None = setting(
        None,
        "train also where the word embeddings of a text are moved against the model: one move"
        " (twice the time), several, or the mean over several (default: not)",
        choices=ADVERSARIAL,
        group="robustness",
    )
    adversarial_steps: int = setting(
        3, "moves of pgd, passes of freelb", minimum=2, maximum=20, group="robustness"
    )
    adversarial_norm: float = setting(
        1.0,
        "largest norm of the change of a text, of --adversarial and --smoothness",
        above=0,
        group="robustness",
    )
    smoothness: float = setting(
        0.0,
        "SMART: weight of the change of the output where the word embeddings are moved; 0 for off,"
        " else some three times the time",
        minimum=0,
        group="robustness",
    )
    mixout: float = setting(
        0.0,
        "share of the kernels' weights that are the pretrained ones instead in a step, such as 0.5",
        minimum=0,
        below=1,
        group="robustness",
    )
    l2: float = setting(
        0.0,
        "L2 penalty in the gradient; none on biases and layer norms",
        minimum=0,
        group="objective",
    )
    hidden_dropout: float | None = setting(
        None,
        "dropout of hidden values (default: the model's, mostly 0.1)",
        minimum=0,
        below=1,
        group="objective",
    )
    attention_dropout: float | None = setting(
        None,
        "dropout of attention weights (default: the model's, mostly 0.1)",
        minimum=0,
        below=1,
        group="objective",
    )
    schedule: str = setting(
        "linear", "decay of the learning rate after the warm-up", choices=SCHEDULES, group="rates"
    )
    schedule_power: float = setting(
        2.0, "exponent of the polynomial schedule", above=0, group="rates"
    )
    final_rate: float = setting(
        0.0, "share of the peak learning rate at the end", minimum=0, maximum=1, group="rates"
    )
    head_rate: float | None = setting(
        None,
        "peak learning rate of pooler and head (default: that of --learning-rate; 2e-3 for"
        " multilingual)",
        above=0,
        group="rates",
    )
    layer_decay: float = setting(
        1.0,
        "factor of the learning rate from each layer to the one below, then to the embeddings",
        above=0,
        maximum=1,
        group="rates",
    )
    freeze_layers: int = setting(
        0,
        "lowest layers not to train, together with the embeddings",
        minimum=0,
        group="rates",
    )
    freeze_embeddings: bool = setting(False, "do not train the embeddings", group="rates")
    ema: float = setting(
        0.0,
        "decay of a moving average of the weights that is evaluated and saved, such as 0.999; 0"
        " for none",
        minimum=0,
        below=1,
        group="rates",
    )
    best_by: str | None = setting(
        None,
        "dev metric that chooses the best epoch; ties are decided by the lowest dev loss"
        " (default: the task's first, accuracy for classify)",
        group="training",
    )
    early_stopping: int = setting(
        3,
        "epochs without progress before stopping, 0 for never; progress is a better --best-by"
        " metric, or a dev loss within 1/N of its lowest (N dev examples)",
        minimum=0,
        group="training",
    )
    seed: int = setting(
        1,
        "seed of the dev split, the order of examples, dropout and new weights",
        minimum=0,
        group="training",
    )
    split_seed: int | None = setting(
        None,
        "seed of the dev split, so that trainings of several seeds share one (default: --seed)",
        minimum=0,
        group="data",
    )
    deterministic: bool = setting(
        False, "bit-equal results on the same machine; slower", group="training"
    )
    output: str | None = setting(
        None, "folder of the run (default: runs/<task>-<date>-<time>)", group="run"
    )
    resume: bool = setting(False, "resume the run in --output", group="run")
    stop_after: int | None = setting(
        None,
        "stop after this epoch with the state saved, so that --resume trains the other epochs",
        minimum=1,
        group="run",
    )
    language: str = setting("en", "language of report.html", choices=LANGUAGES, group="run")
    json: bool = setting(False, "print metrics.json instead of a table", group="run")
    # ---- checkpoints, profile and dry run
    checkpoint_steps: int = setting(
        0,
        "steps between checkpoints within an epoch, 0 for none",
        minimum=0,
        group="run",
    )
    checkpoint_minutes: float = setting(
        10.0,
        "minutes between checkpoints within an epoch, 0 for none",
        minimum=0,
        group="run",
    )
    keep_checkpoints: int = setting(2, "newest checkpoints to keep", minimum=1, group="run")
    profile_steps: str | None = setting(
        None, "FIRST,LAST: steps to profile for TensorBoard, such as 10,20", group="run"
    )
    dry_run: bool = setting(
        False,
        "train, save, export, reload and predict the longest batch; keep nothing",
        group="run",
    )
    # ---- several processes; each process has its own values of these
    workers: str | None = setting(
        None,
        "host:port,... of all workers of multi_worker (default: from TF_CONFIG)",
        group="processes",
    )
    worker_index: int | None = setting(
        None,
        "index of this process in --workers, from 0 (default: from TF_CONFIG)",
        minimum=0,
        group="processes",
    )
    worker_timeout: int = setting(
        300, "seconds to wait for the other processes", minimum=1, group="processes"
    )
    tpu: str | None = setting(
        None, "name or address of the TPU (default: TPU_NAME, or this machine's)", group="processes"
    )

    @property
    def dev_seed(self) -> int:
        """The seed of the dev split."""
        return self.seed if self.split_seed is None else self.split_seed

    @property
    def best_metric(self) -> str:
        """The dev metric that chooses the best epoch."""
        return self.best_by or next(iter(TASKS[self.task].metrics))

    def conflicts(self) -> Iterator[Conflict]:
        """Iterate over settings that cannot be combined, each with the names of its fields."""
        return find_conflicts(self)
