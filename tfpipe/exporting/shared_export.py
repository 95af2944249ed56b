"""The export of several runs whose adapters share one encoder."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfpipe.config import ExportConfig
from tfpipe.errors import UserError, collected, raise_all
from tfpipe.exporting.answer_parity import Parity
from tfpipe.exporting.edge_batches import make_edge_batches
from tfpipe.exporting.gate import GATE_FILE, Gate, pass_gate, read_gate
from tfpipe.exporting.info import describe, write_info
from tfpipe.exporting.local_versions import PublishTarget
from tfpipe.exporting.own_answers import OwnAnswers, answer_alone
from tfpipe.exporting.published_versions import refuse_new_adapters
from tfpipe.exporting.server_flags import recommend_flags
from tfpipe.exporting.shared_model import INPUTS, SharedEncoder, SharedModel
from tfpipe.exporting.verify_export import PARITY_FILE, VerifiedExport, write_json_file
from tfpipe.exporting.verify_shared import TextAndAdapter, mix_dev, verify_shared
from tfpipe.exporting.warmup import write_warm_up
from tfpipe.model import presets, pretrained
from tfpipe.model.adapters import ADAPTERS, peft_folder
from tfpipe.model.adapters.shared_weights import SharedWeights
from tfpipe.model.few_tokens import served_forward
from tfpipe.model.text_model import TextModel
from tfpipe.run_folder import Run, open_run
from tfpipe.tasks.classify.task import Classify
from tfpipe.tasks.task import task_of

logger = logging.getLogger(__name__)

# Entries of `info` that are the same for all adapters; the others are of each.
COMMON = ("task", "max_length", "vocabulary_sha256", "unknown_id", "versions")


@dataclass(frozen=True)
class AdapterRun:
    """A run whose adapter is exported.

    Attributes:
        name: Name of its folder, by which clients choose the adapter.
        run: The run.
        adapter: The adapter that it has kept.
    """

    name: str
    run: Run
    adapter: peft_folder.StoredAdapter

    @property
    def labels(self) -> Sequence[str]:
        """Names of the columns of its head."""
        return self.run.data["model"]["labels"]

    def open_merged(self) -> tuple[TextModel, Classify]:
        """Open the run's model with the adapter's change in its weights, and its task."""
        model = pretrained.load(self.run.model)
        task = task_of(self.run.config.task, model)
        assert isinstance(task, Classify)
        return model, task

    def open_unmerged(self, merged: TextModel) -> TextModel:
        """Open the base model with the run's adapter beside its weights; raises UserError."""
        config = self.run.config
        names, head = merged.label_names, merged.head
        base = presets.open_model(config.model, names, (), config.max_length, head)
        return peft_folder.attach(base, self.adapter)


class SharedExport:
    """The Source of several runs, see tfpipe.exporting.run_export.

    Raises:
        UserError: The runs cannot share an encoder, or the settings of the gate cannot be used.
    """

    task: str = "classify"
    inputs: Sequence[str] = INPUTS

    def __init__(self, config: ExportConfig):
        self._config = config
        self._runs = open_adapter_runs([config.run, *config.more_runs])
        self._common: dict[str, Any] = {}
        self._adapters: dict[str, dict[str, Any]] = {}
        self._merged: list[OwnAnswers] = []
        self._gates: list[Gate] = []

    def refuse_new_labels(self, target: PublishTarget) -> None:
        """Raise UserError where adapters of the version before are missing or have other labels."""
        refuse_new_adapters(target, {one.name: one.labels for one in self._runs})

    def build(self, folder: Path, name: str) -> tuple[Parity, dict[str, Any]]:
        """Write, verify and measure the export; see Source."""
        shared, precision = self._share(), self._precision
        tasks = {one.name: one.task for one in self._merged}
        facts = self._common | {"precision": {"precision": precision}, "adapters": self._adapters}
        SharedModel(shared, tasks, facts).save(str(folder))
        logger.info("the graph is written")

        tables, verified = verify_shared(
            *(folder, self._merged, self._runs[0].run, shared.tokenizer, precision)
        )
        passed = self._pass_gates(folder, verified)
        mixed, order = mix_dev(self._merged)
        lengths = np.concatenate([one.lengths for one in self._merged])[order]
        requests = write_warm_up(folder, name, TextAndAdapter, mixed, lengths)
        logger.info(f"{requests} requests to warm up with are written and read back")
        if self._config.measure_serving:
            facts |= {"serving": recommend_flags(folder, TextAndAdapter, mixed)}

        write_json_file(folder, PARITY_FILE, tables)
        write_json_file(folder, GATE_FILE, passed)
        write_info(folder, facts | {"parity": tables, "gate": passed})
        return verified[0].parity, passed

    @property
    def _precision(self) -> str:
        asked = self._config.precision
        return "float32" if asked == "auto" else asked

    def _share(self) -> SharedEncoder:
        """Open the models in turn: their answers and what differs between them are kept."""
        weights = first = None
        for one in self._runs:
            merged, task = one.open_merged()
            self._gates.append(read_gate(self._config, one.run, task))
            self._describe(one, merged, task)
            edges = make_edge_batches(INPUTS[:1], one.run.config.max_length)
            self._merged.append(answer_alone(one.name, one.run, merged, task, edges))
            logger.info(f"{one.name}: {one.adapter.method}, {len(task.label_names)} labels")
            model = one.open_unmerged(merged)
            if weights is None:
                weights, first = SharedWeights(model, tf.as_dtype(self._precision)), model
            else:
                weights.add(model)
        assert weights is not None and first is not None
        encoder, max_length = weights.encoder(), self._runs[0].run.config.max_length
        forward = served_forward(encoder, first.head.compute, self._precision)
        return SharedEncoder(encoder, forward, first.tokenizer, max_length)

    def _describe(self, one: AdapterRun, merged: TextModel, task: Classify) -> None:
        found = describe(one.run, merged, task)
        self._common = {name: found.pop(name) for name in COMMON}
        self._adapters[one.name] = found | {"method": one.adapter.method}

    def _pass_gates(self, folder: Path, verified: Sequence[VerifiedExport]) -> dict[str, Any]:
        """Return what the gate found of each adapter; raises UserError where it refuses one."""
        passed, errors = {}, []
        for one, gate, proof in zip(self._merged, self._gates, verified, strict=True):
            try:
                passed[one.name] = pass_gate(gate, one.task, folder, proof, one.dev)
            except UserError as error:
                errors += [
                    UserError(f"{one.name}: {each.wrong}", each.found, each.fix)
                    for each in getattr(error, "errors", [error])
                ]
        raise_all(errors)
        return passed


def open_adapter_runs(folders: Sequence[str]) -> list[AdapterRun]:
    """Open runs whose adapters are to share an encoder.

    Raises:
        UserError: A folder is not a finished run with an adapter, or the runs differ in what they
            share; all errors together.
    """
    found: list[AdapterRun] = []
    errors: list[UserError] = []
    for folder in folders:
        with collected(errors):
            found.append(_open_adapter_run(open_run(folder)))
    raise_all(errors)
    for number, one in enumerate(found):
        if one.name in [other.name for other in found[:number]]:
            errors.append(
                UserError(
                    "two adapters have one name",
                    f"{one.name}: {one.run.folder} and another run",
                    "rename one of the folders: clients choose an adapter by the folder's name",
                )
            )
        errors += _differences(found[0], one)
    raise_all(errors)
    return found


def _open_adapter_run(run: Run) -> AdapterRun:
    """Read the adapter of a run; raises UserError where it cannot share an encoder."""
    _refuse_alone(run)
    adapter = peft_folder.read(run.adapter)
    if not ADAPTERS[adapter.method].shareable:
        raise UserError(
            "an adapter of this method cannot be in one batch with others",
            f"{run.folder}: {adapter.method}",
            "export this run alone, without --shared",
        )
    return AdapterRun(run.folder.resolve().name, run, adapter)


def _refuse_alone(run: Run) -> None:
    """Raise UserError for a run that cannot share an encoder with any other."""
    config = run.config
    refused: tuple[tuple[bool, str, str, str], ...] = (
        (
            not run.adapter.is_dir(),
            "the run has no adapter",
            f"no {run.adapter}",
            "train it with --adapter, or export it without --shared",
        ),
        (
            config.task != SharedExport.task or run.data["pairs"],
            "--shared takes runs that classify single texts",
            f"--task {config.task}" + (" of pairs" if run.data["pairs"] else ""),
            "export this run alone, without --shared",
        ),
        (
            config.model == "tiny" or bool(config.trim_vocabulary),
            "the base model of the run is not kept anywhere: its vocabulary is the run's own",
            f"--model {config.model}" + (" --trim-vocabulary" if config.trim_vocabulary else ""),
            "train with --no-trim-vocabulary, on a model other than tiny",
        ),
    )
    for wrong, sentence, what, advice in refused:
        if wrong:
            raise UserError(sentence, f"{run.folder}: {what}", advice)


def _differences(first: AdapterRun, other: AdapterRun) -> list[UserError]:
    """Return an error for all that two runs must have in common and do not."""
    read: dict[str, Callable[[AdapterRun], Any]] = {
        "base model (SHA-256)": lambda one: str(one.adapter.base)[:12],
        "tokenizer": lambda one: one.run.data["model"]["tokenizer"],
        "--max-length": lambda one: one.run.config.max_length,
        "--long-text": lambda one: one.run.config.long_text,
        "--pooling": lambda one: one.run.config.pooling,
    }
    apart: Mapping[str, tuple[Any, Any]] = {
        name: (value(first), value(other))
        for name, value in read.items()
        if value(first) != value(other)
    }
    if not apart:
        return []
    found = "; ".join(f"{name} {one} and {two}" for name, (one, two) in apart.items())
    return [
        UserError(
            "the runs cannot share one encoder",
            f"{first.run.folder} and {other.run.folder}: {found}",
            "train both on the same --model, with the same settings",
        )
    ]
