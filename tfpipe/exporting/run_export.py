"""The export of one run: its graph, proof, gate, warm-up and serving flags in a folder."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from tfpipe.config import ExportConfig
from tfpipe.exporting.answer_parity import Parity
from tfpipe.exporting.gate import GATE_FILE, pass_gate, read_gate
from tfpipe.exporting.info import describe, write_info
from tfpipe.exporting.local_versions import PublishTarget
from tfpipe.exporting.precision import choose_export_precision, scaled_for_int8
from tfpipe.exporting.published_versions import refuse_new_labels
from tfpipe.exporting.saved_model import ExportedModel
from tfpipe.exporting.server_flags import recommend_flags
from tfpipe.exporting.verify_export import PARITY_FILE, verify_export, write_json_file
from tfpipe.exporting.warmup import write_warm_up
from tfpipe.model import pretrained
from tfpipe.run_folder import open_run
from tfpipe.tasks.task import task_of

logger = logging.getLogger(__name__)


class Source(Protocol):
    """What is exported: one run, or several that share an encoder.

    Attributes:
        task: Name of the task.
        inputs: Names of the texts that the export takes.
    """

    task: str
    inputs: Sequence[str]

    def refuse_new_labels(self, target: PublishTarget) -> None:
        """Raise UserError where the labels are not those of the version before."""

    def build(self, folder: Path, name: str) -> tuple[Parity, dict[str, Any]]:
        """Write, verify and measure the export.

        Args:
            folder: An empty folder.
            name: Name of the model.

        Returns:
            The comparison of its answers with those of training, and what the gate found.

        Raises:
            UserError: The gate refuses the model.
            RuntimeError: The export does not answer as training did.
        """


class RunExport:
    """The Source of one run.

    Raises:
        UserError: The run or the settings of the gate cannot be used.
    """

    def __init__(self, config: ExportConfig):
        self._config, self._run = config, open_run(config.run)
        self._model = pretrained.load(self._run.model)
        self._task = task_of(self._run.config.task, self._model)
        self._gate = read_gate(config, self._run, self._task)
        self.task: str = self._task.name
        self.inputs: Sequence[str] = self._task.inputs(self._run.data["pairs"])

    def refuse_new_labels(self, target: PublishTarget) -> None:
        """Raise UserError where the labels are not those of the version before."""
        refuse_new_labels(target, self._task.label_names)

    def build(self, folder: Path, name: str) -> tuple[Parity, dict[str, Any]]:
        """Write, verify and measure the export; see Source."""
        config, run, model, task = self._config, self._run, self._model, self._task
        dev, max_length = run.read_dev(), run.config.max_length
        if config.precision == "int8":
            model = scaled_for_int8(model, task, dev, max_length)
        choice = choose_export_precision(config.precision, model, task, dev, max_length)
        logger.info(f"products in {choice.precision}: {choice.reason}")
        facts = describe(run, model, task) | {"precision": vars(choice)}
        pairs = dev.text_pairs is not None
        exported = ExportedModel(model, task, max_length, pairs, facts, choice.precision)
        exported.save(str(folder))
        logger.info("the graph is written")

        verified = verify_export(folder, run, model, task, dev, choice.precision)
        passed = pass_gate(self._gate, task, folder, verified, dev)
        requests = write_warm_up(folder, name, task, task.served_texts(dev), verified.lengths)
        logger.info(f"{requests} requests to warm up with are written and read back")
        if config.measure_serving:
            facts |= {"serving": recommend_flags(folder, task, dev)}

        write_json_file(folder, PARITY_FILE, verified.tables)
        write_json_file(folder, GATE_FILE, passed)
        write_info(folder, facts | {"parity": verified.tables, "gate": passed})
        return verified.parity, passed
