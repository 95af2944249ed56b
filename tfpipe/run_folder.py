"""The run folder: the files that training writes and other commands read."""

from __future__ import annotations

import dataclasses
import json
import shlex
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfpipe.config import TrainConfig, build, read_values, to_yaml
from tfpipe.data.examples import Columns, Examples
from tfpipe.data.hashing import hash_texts
from tfpipe.data.read_examples import read_examples
from tfpipe.data.splits import Splits
from tfpipe.errors import UserError
from tfpipe.io.atomic import write_text
from tfpipe.locations import locate

if TYPE_CHECKING:
    from tfpipe.model.text_model import TextModel

# Settings that do not change the result: a resumed run may have other values.
RESUMABLE = (
    *("resume", "output", "json", "profile_steps", "stop_after"),
    *("checkpoint_steps", "checkpoint_minutes", "keep_checkpoints"),
    *("worker_timeout", "workers", "worker_index", "tpu", "language"),
)
# Files that a run may leave that was killed before its first step.
INITIAL_FILES = {"dev.jsonl", "data.json", "logs"}
# The result of `tfpipe.probe`.
PROBE = "probe.json"
SHAPES = (
    *("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size"),
    *("vocab_size", "max_position_embeddings", "type_vocab_size", "hidden_act"),
)


@dataclass(frozen=True)
class Run:
    """A run's folder and the content of its files.

    Attributes:
        folder: The folder.
        written_here: Whether this process writes it; only the chief of several workers does.
    """

    folder: Path
    written_here: bool = True

    @property
    def model(self) -> Path:
        """The folder of the best epoch's model, which transformers' from_pretrained reads."""
        return self.folder / "model"

    @property
    def adapter(self) -> Path:
        """The folder of its adapter; missing where the run has none."""
        return self.folder / "adapter"

    @property
    def logs(self) -> Path:
        """The folder of TensorBoard's files."""
        return self.folder / "logs"

    @cached_property
    def config(self) -> TrainConfig:
        """The resolved configuration of the run."""
        return build(TrainConfig, read_values(self.folder / "config.yaml"))

    @cached_property
    def data(self) -> dict[str, Any]:
        """The content of data.json: rows and SHA-256 of the data, and the shape of the model."""
        return self._read_json("data.json")

    @cached_property
    def metrics(self) -> dict[str, Any]:
        """The content of metrics.json: the final metrics."""
        return self._read_json("metrics.json")

    @property
    def probed(self) -> dict[str, float]:
        """The figures of `tfpipe.probe`; empty where the run was not probed."""
        if not (self.folder / PROBE).is_file():
            return {}
        return dict(self._read_json(PROBE).get("metrics", {}))

    @property
    def columns(self) -> Columns:
        """Names of the columns that were trained on; a run of an older version has those given."""
        config = self.config
        given = {"text": config.text, "text_pair": config.text_pair, "label": config.label}
        return Columns(**(self.data.get("columns") or given))

    @property
    def finished(self) -> bool:
        """Whether training is finished; metrics.json is its last file."""
        return (self.folder / "metrics.json").is_file()

    @property
    def next_commands(self) -> list[str]:
        """The commands to type after training."""
        folder, name = shlex.quote(str(self.folder)), shlex.quote(self.folder.name)
        return [
            f"python -m tfpipe.evaluate {folder}",
            f"tensorboard --logdir {folder}/logs",
            f"python -m tfpipe.export {folder} --to models/{name}",
        ]

    def read_dev(self) -> Examples:
        """Read the run's copy of its dev examples."""
        return read_examples(self.folder / "dev.jsonl", Columns(), optional_label=True)

    def _read_json(self, name: str) -> dict[str, Any]:
        path = self.folder / name
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UserError(
                "a file of the run is missing or damaged",
                f"{path}: {getattr(error, 'strerror', None) or error}",
                "restore it from a copy, or train again",
            ) from None

    def write_json(self, name: str, content: Any) -> None:
        """Write `content` as NAME in the run's folder."""
        write_text(self.folder / name, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def open_run(folder: str) -> Run:
    """Open a finished run; raises UserError for any other folder."""
    run = Run(Path(folder))
    found = locate(folder)
    if found.kind == "missing":
        raise UserError(
            "the run's folder is missing",
            folder,
            f"{found.suggestion}give the folder that tfpipe.train printed",
        )
    if not (run.folder / "config.yaml").is_file():
        raise UserError(
            "the folder is not a run",
            f"no config.yaml in {folder}, which is {found.description}",
            "give the folder that tfpipe.train printed",
        )
    if not run.finished:
        raise UserError(
            "the run is not finished",
            f"no metrics.json in {folder}",
            f"python -m tfpipe.train --resume --output {shlex.quote(folder)}",
        )
    return run


def find_run(config: TrainConfig, default_folder: str) -> Run:
    """Find the folder of a run to start or to resume; nothing is written yet.

    Args:
        config: The configuration, with `output` and `resume`.
        default_folder: The folder without `output`.

    Raises:
        UserError: The folder is in use, or has nothing to resume.
    """
    run = Run(Path(config.output or default_folder))
    if config.resume:
        if not (run.folder / "config.yaml").is_file():
            raise UserError(
                "there is no run to resume",
                f"no config.yaml in {run.folder}",
                "give the folder of the run as --output",
            )
        if run.finished:
            raise UserError(
                "the run is finished", str(run.folder), "start a new run with another --output"
            )
    elif run.folder.exists() and not _has_not_started(run.folder):
        raise UserError(
            "the output folder exists and is not empty",
            str(run.folder),
            "give another --output, or add --resume to resume that run",
        )
    return run


def _has_not_started(folder: Path) -> bool:
    return folder.is_dir() and all(
        path.name in INITIAL_FILES or path.suffix == ".tmp" for path in folder.iterdir()
    )


def resumed_config(run: Run, given: TrainConfig) -> TrainConfig:
    """Return the stored configuration of a run; raises UserError where `given` differs."""
    default, stored = TrainConfig(), run.config
    changed = {n: value for n, value in vars(given).items() if value != getattr(default, n)}
    free = {name: changed.pop(name) for name in RESUMABLE if name in changed}
    for name, value in changed.items():
        if value != getattr(stored, name):
            raise UserError(
                f"a resumed run keeps its settings, and {name} differs",
                f"{value!r}, the run has {getattr(stored, name)!r}",
                f"leave out --{name.replace('_', '-')}, or start a new run",
            )
    return dataclasses.replace(stored, **{**free, "resume": True})


def begin_run(run: Run, config: TrainConfig, parts: Splits, model: TextModel) -> None:
    """Write the first files of a run, or check that a resumed run has the same data and model.

    Args:
        run: The run.
        config: The resolved configuration.
        parts: The data.
        model: The model.

    Raises:
        UserError: The folder cannot be written, or data or model differ.
    """
    data = _describe(parts, model)
    if config.resume:
        refuse_other_data(run, parts)
        _refuse_other("model", run.data.get("model", {}), data["model"])
        return
    try:
        run.folder.mkdir(parents=True, exist_ok=True)
        write_text(run.folder / "dev.jsonl", as_json_lines(parts.dev))
        run.write_json("data.json", data)
        # `stop_after` is not a setting of the run: a resumed run would stop there again.
        stored = dataclasses.replace(config, stop_after=None)
        write_text(run.folder / "config.yaml", to_yaml(stored))
    except OSError as error:
        raise UserError(
            "the output folder cannot be written",
            f"{run.folder}: {error.strerror}",
            "give a writable --output on a disk with free space",
        ) from None


def _describe(parts: Splits, model: TextModel) -> dict[str, Any]:
    """Return the content of data.json."""
    shape = {name: getattr(model.config, name) for name in SHAPES}
    return {
        **_describe_parts(parts),
        "columns": parts.train.columns.names,
        "model": shape
        | {"labels": list(model.label_names), "tokenizer": model.tokenizer.fingerprint},
    }


def _describe_parts(parts: Splits) -> dict[str, Any]:
    return {
        "train_rows": len(parts.train),
        "train_sha256": hash_texts(parts.train.joined(), parts.train.labels or ()),
        "dev_rows": len(parts.dev),
        "dev_sha256": hash_texts(parts.dev.joined(), parts.dev.labels or ()),
        "pairs": parts.train.text_pairs is not None,
    }


def refuse_other_data(run: Run, parts: Splits) -> None:
    """Raise UserError where the data files are not those that the run was trained on."""
    _refuse_other("data", run.data, _describe_parts(parts))


def refuse_unlike(first: Run, other: Run, and_model: bool = False) -> None:
    """Raise UserError where two runs cannot be made one model.

    Args:
        first: A run.
        other: Another run.
        and_model: Whether their models must have the same shapes and tokenizer, too.
    """
    models = [run.data.get("model", {}) for run in (first, other)]
    compared = [
        ("labels", [model.get("labels") for model in models], "train them on the same labels"),
        (
            "inputs",
            [run.data.get("pairs") for run in (first, other)],
            "give runs of texts, or of pairs",
        ),
        (
            "dev examples",
            [run.data.get("dev_sha256") for run in (first, other)],
            "train them with the same --train, --dev and --split-seed: what is dev of one may not"
            " be trained on by another",
        ),
    ]
    if and_model:
        compared.append(("models", models, "train them with the same --model"))
    for what, (mine, its), fix in compared:
        if mine != its:
            raise UserError(
                f"the runs have different {what}", f"{first.folder} and {other.folder}", fix
            )


def _refuse_other(what: str, stored: dict[str, Any], now: dict[str, Any]) -> None:
    """Raise UserError where data or model of a resumed run differ."""
    # A run of an older version lacks some of the entries.
    differing = [n for n in now if n in stored and stored[n] != now[n]]
    if differing:
        differences = [f"{n} {_short(now[n])}, the run has {_short(stored[n])}" for n in differing]
        raise UserError(
            f"the {what} is not that of the run",
            "; ".join(differences),
            "restore the files, or start a new run",
        )


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def as_json_lines(examples: Examples) -> str:
    """Format examples as a data file that read_examples reads."""
    columns = {"text": examples.texts}
    if examples.text_pairs is not None:
        columns = {"text_a": examples.texts, "text_b": examples.text_pairs}
    columns["label"] = examples.labels or ()
    rows = zip(*columns.values(), strict=True)
    lines = [json.dumps(dict(zip(columns, row, strict=True)), ensure_ascii=False) for row in rows]
    return "\n".join(lines) + "\n"
