"""What finished models answer to labelled examples: runs here, exports as their users load them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tfpipe.data.read_examples import Examples
from tfpipe.errors import UserError
from tfpipe.exporting.clean_process import batches_of, join, run_in_clean_process
from tfpipe.exporting.info import read_info
from tfpipe.locations import locate_model
from tfpipe.run_folder import Run, open_run
from tfpipe.tasks import TASKS
from tfpipe.tasks.evaluation import TaskEvaluation
from tfpipe.tasks.task import Task


@dataclass(frozen=True)
class Model:
    """A finished run, or an export, for which `run` is None, and what it tells of itself.

    label_names: in column order; settings: what was chosen on dev, empty where a model of an
    earlier version does not tell; train_sha256: of its training data, None where it does not tell.
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
    """The model of a folder; raises UserError for one that is no run or export of tfpipe."""
    place = locate_model(folder)
    if place.kind == "run":
        return _of_run(open_run(str(place.folder)))
    info = read_info(place.folder)
    if info.get("task") not in TASKS:
        raise UserError(
            "the export does not tell what task it is for",
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
    """What an export says in a process that imports TensorFlow alone; raises UserError."""
    task = model.task
    try:
        outputs = join(run_in_clean_process(model.folder, batches_of(examples, task)).answered())
    except RuntimeError as error:
        raise UserError(
            "the export cannot answer these texts",
            f"{model.folder}: {str(error).strip().splitlines()[-1]}",
            "give data of the kind that it was made for, or another export",
        ) from None
    return task.judge(examples, outputs)
