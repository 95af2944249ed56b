"""A run made of a finished one without training: its settings and data, another model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import tensorflow as tf

from tfpipe.config import TrainConfig
from tfpipe.data.labels import parsed_labels
from tfpipe.errors import UserError
from tfpipe.io.atomic import atomic_folder
from tfpipe.model import pretrained
from tfpipe.model.text_model import TextModel
from tfpipe.report.stored_report import read_report
from tfpipe.run_folder import Run, find_run, refuse_other_data
from tfpipe.tasks import TASKS
from tfpipe.tasks.task import Task, TaskEvaluation
from tfpipe.training.evaluator import Evaluator
from tfpipe.training.preparation import read_parts
from tfpipe.training.run_context import RunContext
from tfpipe.training_run import begin, encode_data, finish

# What metrics.json has of a training beside its speed.
ENDING = ("steps", "epochs", "best_epoch", "stopped_early")


class DerivedRun:
    """An ordinary run whose model is made of that of a finished run.

    Its training curve is that of the finished run, its figures are those of the new model.

    Attributes:
        source: The finished run.
        model: Its model, to be changed, or replaced by `change_model`.
        task: Its task.
        parts: Its examples.
        data: Their inputs, as the model's tokenizer makes them.
    """

    def __init__(self, source: Run, output: str):
        """Open the model and the data.

        Args:
            source: The finished run.
            output: The new run's folder; nothing is written yet.

        Raises:
            UserError: The folder is in use, or the data or the report of the run are gone.
        """
        self.source, self.model = source, pretrained.load(source.model)
        # Where it was trained does not matter: one device evaluates it.
        config = replace(source.config, output=output, resume=False, json=False)
        config = replace(config, strategy="one_device", devices=0, workers=None, worker_index=None)
        run = find_run(config, output)
        self._report = _read_report(source)
        self.parts = read_parts(config)
        refuse_other_data(source, self.parts)
        self._context = RunContext(config, run, tf.distribute.get_strategy())
        spec = TASKS[config.task]
        self.task: Task = spec.task_class.from_labels(
            parsed_labels(self.parts.train, spec.rules), config
        )
        self.data = encode_data(self._context, self.parts, self.model, self.task)

    @property
    def config(self) -> TrainConfig:
        """The configuration of the new run."""
        return self._context.config

    def change_model(self, model: TextModel) -> None:
        """Take another model, perhaps with another tokenizer, for that of the new run."""
        if model.tokenizer.fingerprint != self.model.tokenizer.fingerprint:
            self.data = encode_data(self._context, self.parts, model, self.task)
        self.model = model

    def tune(self) -> tuple[Task, TaskEvaluation]:
        """Tune the task on dev for the model as it is now, and evaluate the model there."""
        return self._evaluator(self.model).tune(self.data.sets[1])

    def evaluate(self) -> dict[str, float]:
        """Return the dev metrics of the model as it is now, as a training's history names them."""
        return {f"dev_{name}": value for name, value in self.tune()[1].metrics.items()}

    def finish(
        self, command: str, file: str | None = None, content: Mapping[str, Any] | None = None
    ) -> Run:
        """Write the run with the model as it is now.

        Args:
            command: The shell line that makes the run again.
            file: Name of a further JSON file, which says how the model was made; None for none.
            content: Its content.
        """
        context, source = self._context, self.source
        begin(context, self.parts, self.model)
        with atomic_folder(context.run.model) as aside:
            pretrained.save(self.model, aside)
        if file is not None:
            context.run.write_json(file, content)
        found = source.metrics["train"]
        speed = {name: value for name, value in found.items() if name not in ENDING}
        history = [dict(record) for record in self._report.history]
        finish(context, self.data, history, speed, self._evaluator(self.model), command)
        return context.run

    def _evaluator(self, model: TextModel) -> Evaluator:
        context = self._context
        return Evaluator(context.strategy, model, self.task, context.config.batch_size)


def _read_report(source: Run) -> Any:
    report = read_report(source.folder)
    if report is None:
        raise UserError(
            "the run has no training curve that can be read",
            f"no report.json of this version in {source.folder}",
            "train it again",
        )
    return report
