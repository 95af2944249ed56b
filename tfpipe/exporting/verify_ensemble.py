"""Verification of an ensemble: its answers against the combined answers of each run's model."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfpipe.data.examples import Examples
from tfpipe.exporting.answer_parity import compare_answers, compare_batches, join_parities
from tfpipe.exporting.clean_process import (
    Answers,
    as_answers,
    batches_of,
    join,
    run_in_clean_process,
)
from tfpipe.exporting.edge_batches import make_edge_batches
from tfpipe.exporting.ensemble_model import Member, as_answer, combine
from tfpipe.exporting.own_answers import answer_alone
from tfpipe.exporting.reference_parity import compare_tokenizers
from tfpipe.exporting.unsupported_ops import refuse_unsupported
from tfpipe.exporting.verify_export import VerifiedExport, check_parity
from tfpipe.tasks.classify.task import Classify
from tfpipe.tasks.evaluation import TaskEvaluation

logger = logging.getLogger(__name__)


def verify_ensemble(
    export: Path,
    members: Sequence[Member],
    task: Classify,
    how: str,
    dev: Examples,
    precision: str,
) -> VerifiedExport:
    """Run the export in a process that imports TensorFlow alone.

    Args:
        export: The SavedModel's folder.
        members: The classifiers.
        task: The task of the ensemble.
        how: How their scores become one, see `combine`.
        dev: The dev examples, those of all runs.
        precision: Type of the export's products.

    Raises:
        RuntimeError: It needs operations beyond TensorFlow's core, or a text is answered otherwise.
    """
    inputs = task.inputs(dev.text_pairs is not None)
    edges = make_edge_batches(inputs, max(one.max_length for one in members))
    own = [answer_alone(one.name, one.run, one.model, one.task, edges) for one in members]
    batches = batches_of(dev, task)
    result = run_in_clean_process(export, [*batches, *edges])
    kinds = refuse_unsupported(export, result.operations)
    logger.info(f"all {kinds} kinds of operations are of TensorFlow's core")
    found = result.answered()
    answers = join(found[: len(batches)])

    expected_edges = [_combine([one.edges[n] for one in own], task, how) for n in range(len(edges))]
    expected = _combine([one.answers for one in own], task, how)
    parities = {
        "fresh_process": compare_answers(answers, expected),
        "edges": compare_batches(found[len(batches) :], expected_edges),
    }
    if stock := [parity for one in own for parity in one.stock]:
        parities["stock_bert"] = join_parities(stock)
    tokenizers = _compare_tokenizers(members, dev)
    tolerance = check_parity(parities, tokenizers, precision)
    evaluation = task.judge(dev, answers)
    for one in own:
        _log_accuracy(one.name, one.task.judge(dev, one.answers))
    _log_accuracy(f"ensemble ({how})", evaluation)
    return VerifiedExport(
        parity=parities["fresh_process"],
        tables={name: asdict(parity) for name, parity in parities.items()}
        | {"tokenizer": tokenizers, "score_tolerance": tolerance},
        answers=answers,
        evaluation=evaluation,
        lengths=np.max([one.lengths for one in own], axis=0),
    )


def _log_accuracy(name: str, evaluation: TaskEvaluation) -> None:
    logger.info(f"{name}: accuracy {evaluation.metrics['accuracy']:.4f} on dev")


def _combine(each: Sequence[Answers], task: Classify, how: str) -> Answers:
    """Combine the answers of the members to the same texts."""
    scores = combine([tf.constant(one["scores"]) for one in each], how)
    return as_answers(as_answer(task, scores))


def _compare_tokenizers(members: Sequence[Member], dev: Examples) -> dict[str, dict[str, int]]:
    """Compare each different tokenizer with that of transformers, and sum up each corpus."""
    different = {one.model.tokenizer.fingerprint: one for one in members}
    sums: dict[str, Counter[str]] = {}
    for one in different.values():
        tables = compare_tokenizers(one.model.tokenizer, one.run.model, dev, one.max_length)
        for corpus, table in tables.items():
            sums.setdefault(corpus, Counter()).update(table)
    return {corpus: dict(table) for corpus, table in sums.items()}
