"""Verification before every publish: the written files answer as the model in memory does."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfpipe.data.examples import Examples
from tfpipe.exporting.answer_parity import (
    EXACT,
    Parity,
    bounds_of,
    compare_answers,
    compare_batches,
)
from tfpipe.exporting.clean_process import (
    Answers,
    as_answers,
    batches_of,
    join,
    run_in_clean_process,
)
from tfpipe.exporting.edge_batches import answer_in_process, make_edge_batches
from tfpipe.exporting.reference_parity import compare_graphs, compare_tokenizers
from tfpipe.exporting.unsupported_ops import refuse_unsupported
from tfpipe.model.text_model import TextModel
from tfpipe.run_folder import Run
from tfpipe.tasks.task import Task, TaskEvaluation
from tfpipe.training.evaluator import Evaluator

logger = logging.getLogger(__name__)

PARITY_FILE = Path("assets.extra", "parity.json")


@dataclass(frozen=True)
class VerifiedExport:
    """An export that answers as training did.

    Attributes:
        parity: Its answers to dev, in a clean process, against those of training.
        tables: All comparisons, for parity.json.
        answers: Its answers to dev.
        evaluation: Metrics of these answers.
        lengths: int [N], tokens of each text of dev that is served.
    """

    parity: Parity
    tables: dict[str, Any]
    answers: Answers
    evaluation: TaskEvaluation
    lengths: np.ndarray


def verify_export(
    export: Path,
    run: Run,
    model: TextModel,
    task: Task,
    dev: Examples,
    precision: str = "float32",
) -> VerifiedExport:
    """Run the export in a process that imports TensorFlow alone and compare it with `model`.

    Args:
        export: The SavedModel's folder.
        run: The run that is exported.
        model: Its model.
        task: Its task.
        dev: Its dev examples.
        precision: Type of the export's products; only float32 must answer exactly as training.

    Raises:
        RuntimeError: The export needs operations beyond TensorFlow's core, or answers a text of
            dev, of the edge batches or of the tokenizer's corpora differently.
    """
    max_length = run.config.max_length
    batches = batches_of(dev, task)
    edges = make_edge_batches(task.inputs(dev.text_pairs is not None), max_length)
    result = run_in_clean_process(export, [*batches, *edges])
    kinds = refuse_unsupported(export, result.operations)
    logger.info(f"all {kinds} kinds of operations are of TensorFlow's core")
    found = result.answered()

    texts = task.served_texts(dev)
    labelled = task.label(texts, model.tokenizer, max_length)
    evaluator = Evaluator(tf.distribute.get_strategy(), model, task, run.config.batch_size)
    expected = as_answers(evaluator.evaluate(labelled).outputs)
    answers, edge_answers = join(found[: len(batches)]), found[len(batches) :]
    expected_edges = answer_in_process(model, task, max_length, edges)
    parities = {
        "fresh_process": compare_answers(answers, expected, task.unit),
        "edges": compare_batches(edge_answers, expected_edges, task.unit),
    }
    if model.has_stock_graph:
        parities["stock_bert"] = compare_graphs(model, task, texts, max_length)
    tokenizers = compare_tokenizers(model.tokenizer, run.model, dev, max_length)
    tolerance = check_parity(parities, tokenizers, precision)
    return VerifiedExport(
        parity=parities["fresh_process"],
        tables={name: asdict(parity) for name, parity in parities.items()}
        | {"tokenizer": tokenizers, "score_tolerance": tolerance},
        answers=answers,
        evaluation=task.judge(dev, answers),
        lengths=labelled.full_lengths,
    )


def check_parity(
    parities: Mapping[str, Parity], tokenizers: Mapping[str, Mapping[str, int]], precision: str
) -> float:
    """Log the comparisons of an export and check them.

    Args:
        parities: `fresh_process`, `edges` and, where stock TFBert computes the model, `stock_bert`.
        tokenizers: {"texts", "mismatches"} of each corpus.
        precision: Type of the export's products.

    Returns:
        The tolerance of scores.

    Raises:
        RuntimeError: An answer or a token differs by more than the tolerances.
    """
    for name, parity in parities.items():
        logger.info(
            f"{name.replace('_', ' ')}: {parity.texts} texts, {parity.other_labels} with another"
            f" label, largest score difference {parity.largest_difference:.1e}"
        )
    for name, row in tokenizers.items():
        count = f"{row['texts']} {name.replace('_', ' ')}"
        logger.info(f"tokenizer: {count}, {row['mismatches']} unlike transformers' tokenizer")
    of_dev, of_edges = bounds_of(precision)
    bounds = {"fresh_process": of_dev, "edges": of_edges, "stock_bert": EXACT}
    within = all(parity.within(bounds[name]) for name, parity in parities.items())
    if not within or any(row["mismatches"] for row in tokenizers.values()):
        raise RuntimeError(
            f"the export in {precision} does not answer as training did (tokens must be equal,"
            f" labels but for {bounds['fresh_process'].other_labels:.1%}, scores within"
            f" {bounds['fresh_process'].difference:g}); nothing was published"
        )
    return bounds["fresh_process"].difference


def write_json_file(export: Path, name: Path, content: Any) -> None:
    """Write a JSON file into an export that is not published yet."""
    path = export / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
