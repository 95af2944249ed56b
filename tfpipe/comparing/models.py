"""Models of a comparison: finished runs, and exports in a process that imports TensorFlow only."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tfpipe.data.examples import Examples
from tfpipe.errors import UserError
from tfpipe.exporting.clean_process import batches_of, join, run_in_clean_process
from tfpipe.exporting.info import read_info, refuse_adapters
from tfpipe.locations import locate_model
from tfpipe.run_folder import Run, open_run
from tfpipe.tasks import TASKS
from tfpipe.tasks.evaluation import TaskEvaluation
from tfpipe.tasks.task import Task


@dataclass(frozen=True)
class Model:
    """A finished run or an export.

    Attributes:
        folder: Its folder.
        run: The run; None for an export.
        task_name: Its task.
        label_names: Labels in column order.
        settings: Values chosen on dev; empty for models of earlier versions.
        train_sha256: Hash of its training data; None where it is not recorded.
    """

    folder: Path
    run: Run | None
    task_name: str
    label_names: Sequence[str]
    settings: Mapping[str, Any] = field(default_factory=dict)
    train_sha256: str | None = None

    @property
    def task(self) -> Task:
        """The task as it decodes this model's answers."""
        return TASKS[self.task_name].task_class.restore(self.label_names, self.settings)


def open_model_folder(folder: str) -> Model:
    """Open the run or export of a folder; raises UserError for anything else."""
    place = locate_model(folder)
    if place.kind == "run":
        return _of_run(open_run(str(place.folder)))
    info = read_info(place.folder)
    refuse_adapters(info, str(place.folder))
    if info.get("task") not in TASKS:
        raise UserError(
            "the export does not name its task",
            str(place.folder),
            "give an export of tfpipe.export",
        )
    return Model(
        place.folder,
        None,
        info["task"],
        info.get("labels", ()),
        info.get("settings") or {},
        info.get("train_sha256"),
    )


def _of_run(run: Run) -> Model:
    path = run.model / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        names = {int(column): str(name) for column, name in config["id2label"].items()}
        settings = dict(config.get("tfpipe") or {})
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise UserError(
            "a file of the run is missing or damaged",
            f"{path}: {error}",
            "restore it from where the run was made, or train again",
        ) from None
    labels = [names[column] for column in sorted(names)]
    digest = run.data.get("train_sha256")
    return Model(run.folder, run, run.config.task, labels, settings, digest)


def evaluate_export(model: Model, examples: Examples) -> TaskEvaluation:
    """Evaluate an export in a process that imports TensorFlow alone; raises UserError."""
    task = model.task
    try:
        outputs = join(run_in_clean_process(model.folder, batches_of(examples, task)).answered())
    except RuntimeError as error:
        raise UserError(
            "the export cannot answer these texts",
            f"{model.folder}: {str(error).strip().splitlines()[-1]}",
            "give data with the inputs that it was made for, or another export",
        ) from None
    return task.judge(examples, outputs)
