"""The export of several runs that classify as one model: `tfpipe.export --ensemble`."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tfpipe.config import ExportConfig
from tfpipe.data.examples import Examples
from tfpipe.errors import UserError, collected, raise_all
from tfpipe.exporting.answer_parity import Parity
from tfpipe.exporting.ensemble_model import EnsembleModel, Member
from tfpipe.exporting.gate import GATE_FILE, Gate, pass_gate, read_gate
from tfpipe.exporting.info import describe, write_info
from tfpipe.exporting.local_versions import PublishTarget
from tfpipe.exporting.precision import scaled_for_int8
from tfpipe.exporting.published_versions import refuse_new_labels
from tfpipe.exporting.server_flags import recommend_flags
from tfpipe.exporting.verify_ensemble import verify_ensemble
from tfpipe.exporting.verify_export import PARITY_FILE, write_json_file
from tfpipe.exporting.warmup import write_warm_up
from tfpipe.model import pretrained
from tfpipe.run_folder import Run, open_run, refuse_unlike
from tfpipe.tasks.classify.task import Classify
from tfpipe.tasks.task import task_of

logger = logging.getLogger(__name__)


class EnsembleExport:
    """The Source of several runs that answer together, see tfpipe.exporting.run_export.

    Raises:
        UserError: The runs cannot answer together, or the settings of the gate cannot be used.
    """

    def __init__(self, config: ExportConfig):
        assert config.ensemble is not None
        self._config, self._how = config, config.ensemble
        self._precision = "float32" if config.precision == "auto" else config.precision
        self._members = open_members([config.run, *config.more_runs])
        # Mean scores and votes are probabilities already.
        self._task = Classify.restore(self._members[0].task.label_names, {})
        self.task: str = self._task.name
        self._first = self._members[0].run
        self.inputs: Sequence[str] = self._task.inputs(self._first.data["pairs"])
        self._gate = _gate_of_dev(config, self._first, self._task)

    def refuse_new_labels(self, target: PublishTarget) -> None:
        """Raise UserError where the labels are not those of the version before."""
        refuse_new_labels(target, self._task.label_names)

    def build(self, folder: Path, name: str) -> tuple[Parity, dict[str, Any]]:
        """Write, verify and measure the export; see Source."""
        dev, task, how = self._first.read_dev(), self._task, self._how
        facts = self._describe()
        members = self._in_precision(dev)
        graph = EnsembleModel(members, task, how, self.inputs, facts, self._precision)
        graph.save(str(folder))
        logger.info("the graph is written")

        verified = verify_ensemble(folder, self._members, task, how, dev, self._precision)
        passed = pass_gate(self._gate, task, folder, verified, dev)
        requests = write_warm_up(folder, name, task, dev, verified.lengths)
        logger.info(f"{requests} requests to warm up with are written and read back")
        if self._config.measure_serving:
            facts |= {"serving": recommend_flags(folder, task, dev)}

        write_json_file(folder, PARITY_FILE, verified.tables)
        write_json_file(folder, GATE_FILE, passed)
        facts["metrics"] = {"dev": verified.evaluation.metrics, "test": None}
        write_info(folder, facts | {"parity": verified.tables, "gate": passed})
        return verified.parity, passed

    def _in_precision(self, dev: Examples) -> list[Member]:
        """Return the members, with scales where their products are to be of int8."""
        if self._precision != "int8":
            return self._members
        return [
            replace(one, model=scaled_for_int8(one.model, one.task, dev, one.max_length))
            for one in self._members
        ]

    def _describe(self) -> dict[str, Any]:
        """Return the metadata that are known before the export is verified."""
        facts = describe(self._first, self._members[0].model, self._task)
        return facts | {
            "max_length": max(one.max_length for one in self._members),
            "precision": {"precision": self._precision},
            "ensemble": {"how": self._how, "members": [one.name for one in self._members]},
        }


def open_members(folders: Sequence[str]) -> list[Member]:
    """Open runs that are to answer together.

    Raises:
        UserError: A folder is not a finished run that classifies, or the runs differ in what must
            be the same; all errors together.
    """
    runs: list[Run] = []
    errors: list[UserError] = []
    for folder in folders:
        with collected(errors):
            run = open_run(folder)
            _refuse(run)
            runs.append(run)
    raise_all(errors)
    first, *others = runs
    for other in others:
        with collected(errors):
            refuse_unlike(first, other)
    raise_all(errors)
    return [_open_member(run) for run in runs]


def _open_member(run: Run) -> Member:
    model = pretrained.load(run.model)
    task = task_of(run.config.task, model)
    assert isinstance(task, Classify)
    if model.encoder is None:
        raise UserError(
            "the run cannot be part of an ensemble: only stock TFBert computes its model",
            f"{run.folder}: hidden_act {model.config.hidden_act!r}",
            "leave it out",
        )
    # What it holds back is of its own scores: the ensemble answers always.
    return Member(run, model, replace(task, abstain_below=None))


def _refuse(run: Run) -> None:
    """Raise UserError for a run that can be part of no ensemble."""
    if run.config.task != Classify.name:
        raise UserError(
            "--ensemble takes runs that classify",
            f"{run.folder}: --task {run.config.task}",
            "export this run alone",
        )
    if run.config.abstain:
        raise UserError(
            "--ensemble takes runs that always answer: a threshold is of the scores of one model",
            f"{run.folder}: --abstain {run.config.abstain}",
            "train it without --abstain",
        )


def _gate_of_dev(config: ExportConfig, run: Run, task: Classify) -> Gate:
    """Return the gate; raises UserError for metrics of what the ensemble is not evaluated on."""
    gate = read_gate(config, run, task)
    raise_all(
        [
            UserError(
                "--require of an ensemble takes metrics of dev",
                str(one),
                "ask for one such as dev.accuracy",
            )
            for one in gate.requirements
            if not one.metric.startswith("dev.")
        ]
    )
    return gate
