"""A dry run: the longest batch in every stage of training and export."""

from __future__ import annotations

import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfpipe.cli import say
from tfpipe.exporting.answer_parity import compare
from tfpipe.exporting.saved_model import ExportedModel
from tfpipe.model import pretrained
from tfpipe.run_folder import Run
from tfpipe.tasks.task import task_of
from tfpipe.training.evaluator import Evaluator
from tfpipe.training.preparation import Preparation
from tfpipe.training_run import take_longest, train


def dry_run(prepared: Preparation) -> None:
    """Run every stage on one batch, in a folder that is deleted afterwards.

    Raises:
        UserError: As training.
        RuntimeError: The predictions of the export differ from those of training.
    """
    config = prepared.config
    began = time.perf_counter()

    def report(stage: str) -> None:
        say(f"dry run: {time.perf_counter() - began:5.1f} s: {stage}")

    with tempfile.TemporaryDirectory(prefix="tfpipe-dry-run-") as folder:
        run = Run(Path(folder, "run"))
        config = replace(config, output=str(run.folder))
        done = train(replace(prepared, config=config, run=run))
        report("one batch trained, evaluated and reported")
        steps = done.metrics["train"]["steps"]
        (newest,) = (done.folder / "checkpoints").glob(f"step-{steps}")
        report(f"checkpoint read back, {read_back(newest) / 1e6:,.1f} MB")
        model = pretrained.load(done.model)
        task, dev = task_of(config.task, model), done.read_dev()
        labelled = task.label(dev, model.tokenizer, config.max_length)
        longest = take_longest(labelled, config.batch_size)
        batch = task.label(longest, model.tokenizer, config.max_length)
        strategy = tf.distribute.get_strategy()
        expected = Evaluator(strategy, model, task, config.batch_size).evaluate(batch)
        export = Path(folder, "export")
        pairs = dev.text_pairs is not None
        ExportedModel(model, task, config.max_length, pairs, {"task": task.name}).save(str(export))
        report("exported")
        parity = compare(export, task, longest, expected)
        if not parity.holds:
            raise RuntimeError(
                f"the predictions of the export differ from those of training: {parity}"
            )
        report(f"reloaded in a new process, {parity.texts} texts predicted as in training")
    say("dry run: every stage works; nothing was kept")


def read_back(checkpoint: Path) -> int:
    """Read all tensors of a checkpoint; returns their bytes, raises RuntimeError for a NaN."""
    reader, total = tf.train.load_checkpoint(str(checkpoint / "tensors")), 0
    for name, dtype in reader.get_variable_to_dtype_map().items():
        value = reader.get_tensor(name)
        if dtype.is_floating and not np.isfinite(value).all():
            raise RuntimeError(f"{name} in {checkpoint} is not finite after one step")
        total += getattr(value, "nbytes", len(value) if isinstance(value, bytes) else 0)
    return total
