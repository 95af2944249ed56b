"""What the model of a run answers by itself, to which an export of several runs is compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from tfpipe.data.examples import Examples
from tfpipe.exporting.answer_parity import Parity
from tfpipe.exporting.clean_process import Answers, Columns, as_answers
from tfpipe.exporting.edge_batches import answer_in_process
from tfpipe.exporting.reference_parity import compare_graphs
from tfpipe.model.text_model import TextModel
from tfpipe.run_folder import Run
from tfpipe.tasks.classify.task import Classify
from tfpipe.training.evaluator import Evaluator


@dataclass(frozen=True)
class OwnAnswers:
    """What the model of one run answers.

    Attributes:
        name: Name of the run.
        task: Its task.
        dev: The run's dev examples.
        lengths: int [N], tokens of each.
        answers: The answers to dev.
        edges: The answers to each of the edge batches.
        stock: Comparison of the model with stock TFBert; none where that cannot compute it.
    """

    name: str
    task: Classify
    dev: Examples
    lengths: np.ndarray
    answers: Answers
    edges: Sequence[Answers]
    stock: Sequence[Parity]


def answer_alone(
    name: str, run: Run, model: TextModel, task: Classify, edges: list[Columns]
) -> OwnAnswers:
    """Compute the answers of a run's model, with an adapter merged, to dev and edge batches."""
    dev, max_length = run.read_dev(), run.config.max_length
    labelled = task.label(dev, model.tokenizer, max_length)
    evaluator = Evaluator(tf.distribute.get_strategy(), model, task, run.config.batch_size)
    return OwnAnswers(
        name,
        task,
        dev,
        labelled.full_lengths,
        as_answers(evaluator.evaluate(labelled).outputs),
        answer_in_process(model, task, max_length, edges),
        [compare_graphs(model, task, dev, max_length)] if model.has_stock_graph else [],
    )
