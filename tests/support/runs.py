"""Finished runs of the model `tiny`, one of each kind built once for all tests."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from tests.support import data
from tests.support.built_once import build_once
from tests.support.data import write_messages
from tests.support.multilingual import multilingual_folder
from tfpipe.config import TrainConfig
from tfpipe.run_folder import Run
from tfpipe.train import train


@dataclass(frozen=True)
class Kind:
    """A training that tests share.

    Attributes:
        write: Writer of its data file.
        file: Name of that file.
        settings: Settings beside those of `tiny_config`.
        metric: Metric of dev that an export requires; without it the one of the best epoch.
        at_least: What that metric must exceed.
        multilingual: Whether the model is `multilingual_folder`'s.
    """

    write: Callable[..., Path]
    file: str = "messages.tsv"
    settings: dict = field(default_factory=dict)
    at_least: float = 0.8
    metric: str | None = None
    multilingual: bool = False


# Mirrored training traces its step twice; of the tasks only tag is trained so in quick tests.
_MIRRORED = {"strategy": "mirrored"}
_LABELS = {"task": "multilabel", "epochs": 12}
_NUMBERS = {"task": "regress", "epochs": 4, "learning_rate": 6e-3}
_ENTITIES = {"task": "tag", "epochs": 4, "learning_rate": 6e-3} | _MIRRORED
_QUESTIONS = {"task": "qa", "epochs": 4, "learning_rate": 6e-3, "max_length": 20}
_VECTORS = {"task": "embed", "epochs": 3, "batch_size": 16, "max_length": 24}
_write_pairs = partial(write_messages, pairs=True)
_write_numbers, _write_number_pairs = (
    partial(data.write_numbers, rows=120, pairs=pairs) for pairs in (False, True)
)
_write_entities = partial(data.write_entities, rows=120)
_write_questions = partial(data.write_questions, rows=120)

KINDS = {
    "classify": Kind(write_messages, settings={"epochs": 8}),
    "pairs": Kind(_write_pairs, settings={"epochs": 8}),
    "windows": Kind(data.write_long_messages, settings={"epochs": 8, "long_text": "windows"}),
    "abstain": Kind(
        data.write_scoped_messages,
        settings={"epochs": 3, "learning_rate": 5e-3, "abstain": "auto"},
        at_least=0.5,
        metric="out_of_scope_recall",
    ),
    "multilabel": Kind(data.write_label_sets, settings=_LABELS),
    "regress": Kind(_write_numbers, settings=_NUMBERS),
    "tag": Kind(_write_entities, "people.conll", _ENTITIES),
    "qa": Kind(_write_questions, "things.json", _QUESTIONS, at_least=0.6),
    "embed": Kind(data.write_similar, settings=_VECTORS),
}
SLOW_KINDS = {
    "classify_mirrored": Kind(write_messages, settings={"epochs": 8} | _MIRRORED),
    "multilabel_mirrored": Kind(data.write_label_sets, settings=_LABELS | _MIRRORED),
    "embed_labels": Kind(write_messages, settings=_VECTORS),
    "embed_graded": Kind(partial(data.write_similar, graded=True), settings=_VECTORS),
    "embed_mirrored": Kind(data.write_similar, settings=_VECTORS | _MIRRORED | {"accumulate": 2}),
    "regress_pairs": Kind(_write_number_pairs, settings=_NUMBERS),
}
# A step or two each but for tag: what they learn is tested elsewhere.
_FEW = {"epochs": 1, "batch_size": 64}
MULTILINGUAL_KINDS = {
    f"multilingual_{kind}": replace(
        KINDS[kind], settings=KINDS[kind].settings | _FEW, at_least=-1.0, multilingual=True
    )
    for kind in ("pairs", "multilabel", "regress", "qa")
}
MULTILINGUAL_KINDS["multilingual_tag"] = Kind(
    data.write_chinese_entities,
    "people.jsonl",
    {"task": "tag", "epochs": 8, "batch_size": 16, "learning_rate": 6e-3, "max_length": 32},
    at_least=0.99,
    multilingual=True,
)
ALL_KINDS = KINDS | SLOW_KINDS | MULTILINGUAL_KINDS


def finished_run(kind: str) -> Run:
    """Return the run of one of ALL_KINDS; its files are for reading.

    What its training logged is in log.txt beside the run's folder.
    """

    def build(folder: Path) -> None:
        one = ALL_KINDS[kind]
        file = one.write(folder / one.file)
        log = (folder / "log.txt").open("w", encoding="utf-8")
        with log, contextlib.redirect_stderr(log):
            model = {"model": str(multilingual_folder())} if one.multilingual else {}
            tiny_run(folder, train=str(file), **one.settings, **model)

    return Run(build_once(kind, build) / "run")


def copy_run(run: Run, folder: Path) -> Run:
    """Return a copy of a run, to be changed."""
    shutil.copytree(run.folder, folder)
    return Run(folder)


def tiny_config(folder: Path, **values: object) -> TrainConfig:
    """A configuration that trains `tiny` on fresh messages in seconds."""
    data = folder / "messages.tsv"
    if not data.exists():
        write_messages(data)
    settings: dict = {
        "train": str(data),
        "dev": "0.2",
        "model": "tiny",
        "epochs": 3,
        "batch_size": 8,
        "max_length": 16,
        # What `auto` takes depends on the machine.
        "precision": "float32",
        "output": str(folder / "run"),
    }
    return TrainConfig(**(settings | values))


def tiny_run(folder: Path, **values: object) -> Run:
    """A finished run of `tiny_config`."""
    folder.mkdir(parents=True, exist_ok=True)
    return train(tiny_config(folder, **values))
