"""The run folder: where training leaves what evaluate and export take up."""

from __future__ import annotations

import dataclasses
import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tfpipe.config import TrainConfig, build, read_values, to_yaml
from tfpipe.data.encode import hash_texts
from tfpipe.data.parts import Parts
from tfpipe.data.read import Columns, Examples, read_examples
from tfpipe.errors import UserError, did_you_mean
from tfpipe.files import write_text


@dataclass(frozen=True)
class Run:
    """A run's folder and what its files hold."""

    folder: Path

    @property
    def model(self) -> Path:
        """What transformers' from_pretrained reads: the best epoch's weights."""
        return self.folder / "model"

    @property
    def logs(self) -> Path:
        """TensorBoard's files."""
        return self.folder / "logs"

    @cached_property
    def config(self) -> TrainConfig:
        """The resolved configuration that the run was made with."""
        return build(TrainConfig, read_values(self.folder / "config.yaml"))

    @cached_property
    def data(self) -> dict[str, Any]:
        """data.json: the training data's SHA-256, and whether its rows are text pairs."""
        return json.loads((self.folder / "data.json").read_text(encoding="utf-8"))

    @cached_property
    def metrics(self) -> dict[str, Any]:
        """metrics.json: the final figures."""
        return json.loads((self.folder / "metrics.json").read_text(encoding="utf-8"))

    @property
    def finished(self) -> bool:
        """Whether training came to its end; metrics.json is its last file."""
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
        """The run's dev examples, which lie with it: a dev file may move, a cut has no file."""
        return read_examples(self.folder / "dev.jsonl", Columns())

    def write_json(self, name: str, content: Any) -> None:
        """Write `content` as NAME in the run's folder."""
        write_text(self.folder / name, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def open_run(folder: str) -> Run:
    """A finished run; raises UserError for anything else."""
    run = Run(Path(folder))
    if not run.folder.is_dir():
        parent = run.folder.parent
        siblings: Sequence[str] = [f.name for f in parent.iterdir()] if parent.is_dir() else []
        raise UserError(
            "the run's folder is missing",
            folder,
            f"{did_you_mean(run.folder.name, siblings)}give the folder that tfpipe.train named",
        )
    if not (run.folder / "config.yaml").is_file():
        raise UserError(
            "the folder is not a run",
            f"no config.yaml in {folder}",
            "give the folder that tfpipe.train named",
        )
    if not run.finished:
        raise UserError(
            "the run is not finished",
            f"no metrics.json in {folder}",
            f"python -m tfpipe.train --resume --output {shlex.quote(folder)}",
        )
    return run


def find_run(config: TrainConfig, default_folder: str) -> Run:
    """The run that `--output` names, to begin or to resume; nothing is written yet.

    Raises UserError when the folder is taken, or has nothing to resume.
    """
    run = Run(Path(config.output or default_folder))
    if config.resume:
        if not (run.folder / "config.yaml").is_file():
            raise UserError(
                "there is no run to resume",
                f"no config.yaml in {run.folder}",
                "name the run's folder with --output",
            )
        if run.finished:
            raise UserError(
                "the run is finished", str(run.folder), "start another with a new --output"
            )
    elif run.folder.exists() and (not run.folder.is_dir() or any(run.folder.iterdir())):
        raise UserError(
            "the output folder exists and is not empty",
            str(run.folder),
            "give another --output, or go on with that run by adding --resume",
        )
    return run


def resumed_config(run: Run, given: TrainConfig) -> TrainConfig:
    """The stored configuration of the run; raises UserError where `given` asks for another."""
    default, stored = TrainConfig(), run.config
    for name, value in vars(given).items():
        if name in ("resume", "output") or value == getattr(default, name):
            continue
        if value != getattr(stored, name):
            raise UserError(
                f"a resumed run keeps its settings, and {name} differs",
                f"{value!r}, the run has {getattr(stored, name)!r}",
                f"leave out --{name.replace('_', '-')}, or start another run",
            )
    return dataclasses.replace(stored, resume=True)


def begin_run(run: Run, config: TrainConfig, parts: Parts) -> None:
    """Write the run's first files, or check that a resumed run goes on with the same data.

    Raises UserError where the folder cannot be written and where the data is not the same.
    """
    data = {
        "train_sha256": hash_texts(parts.train.joined(), parts.train.labels or ()),
        "dev_sha256": hash_texts(parts.dev.joined(), parts.dev.labels or ()),
        "pairs": parts.train.text_pairs is not None,
    }
    if config.resume:
        differing = [name for name, value in data.items() if run.data.get(name) != value]
        if differing:
            raise UserError(
                "the data is not what the run began with",
                f"another {', '.join(differing)}",
                "restore the files, or start another run",
            )
        return
    try:
        run.folder.mkdir(parents=True, exist_ok=True)
        write_text(run.folder / "dev.jsonl", _as_json_lines(parts.dev))
        run.write_json("data.json", data)
        write_text(run.folder / "config.yaml", to_yaml(config))
    except OSError as error:
        raise UserError(
            "the output folder cannot be written",
            f"{run.folder}: {error.strerror}",
            "give an --output that you may write, on a disk with space",
        ) from None


def _as_json_lines(examples: Examples) -> str:
    """The examples as a data file that read_examples reads back."""
    columns = {"text": examples.texts}
    if examples.text_pairs is not None:
        columns = {"text_a": examples.texts, "text_b": examples.text_pairs}
    columns["label"] = examples.labels or ()
    rows = zip(*columns.values(), strict=True)
    lines = [json.dumps(dict(zip(columns, row, strict=True)), ensure_ascii=False) for row in rows]
    return "\n".join(lines) + "\n"
