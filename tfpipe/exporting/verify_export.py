"""The proof that runs before every publish: the written files say what training says."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfpipe.data.read_examples import Examples
from tfpipe.exporting.answer_parity import (
    EXACT,
    NARROW,
    NARROW_EDGES,
    Parity,
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

PARITY_FILE = Path("assets.extra", "parity.json")


@dataclass(frozen=True)
class VerifiedExport:
    """An export that holds.

    parity: the fresh process against training on dev; tables: of all comparisons; answers: of
    the fresh process to dev; evaluation: the figures of these; lengths: tokens of each dev text.
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
    tell: Callable[[str], None],
    precision: str = "float32",
) -> VerifiedExport:
    """Open the export in a process that imports TensorFlow alone and hold it against `model`.

    precision: of the export's products; only float32 must answer exactly as training did. Raises
    RuntimeError for operations beyond TensorFlow's core, and where one text of dev, of the
    edges or of the tokenizer's corpora is answered otherwise.
    """
    max_length = run.config.max_length
    asked = batches_of(dev, task)
    probes = make_edge_batches(task.inputs(dev.text_pairs is not None), max_length)
    stranger = run_in_clean_process(export, [*asked, *probes])
    kinds = refuse_unsupported(export, stranger.operations)
    tell(f"all {kinds} kinds of operations are of TensorFlow's core")
    found = stranger.answered()

    labelled = task.label(dev, model.tokenizer, max_length)
    evaluator = Evaluator(tf.distribute.get_strategy(), model, task, run.config.batch_size)
    expected = evaluator.evaluate(labelled)
    answers = join(found[: len(asked)])
    tables: dict[str, Any] = {
        "fresh_process": compare_answers(answers, as_answers(expected.outputs), task.unit),
        "edges": compare_batches(
            found[len(asked) :], answer_in_process(model, task, max_length, probes), task.unit
        ),
        "stock_bert": compare_graphs(model, task, dev, max_length),
    }
    exact = precision == "float32"
    bounds = {
        "fresh_process": EXACT if exact else NARROW,
        "edges": EXACT if exact else NARROW_EDGES,
        "stock_bert": EXACT,
    }
    tokenizers = compare_tokenizers(model.tokenizer, run.model, dev, max_length)
    for name, parity in tables.items():
        tell(
            f"{name.replace('_', ' ')}: {parity.texts} texts, {parity.other_labels} with another"
            f" label, largest score difference {parity.largest_difference:.1e}"
        )
    for name, row in tokenizers.items():
        count = f"{row['texts']} {name.replace('_', ' ')}"
        tell(f"tokenizer: {count}, {row['mismatches']} unlike BertTokenizerFast")
    if not all(tables[name].within(bound) for name, bound in bounds.items()) or any(
        row["mismatches"] for row in tokenizers.values()
    ):
        raise RuntimeError(
            f"the export in {precision} does not answer as training did (tokens must be equal,"
            f" labels but for {bounds['fresh_process'].other_labels:.1%}, scores within"
            f" {bounds['fresh_process'].difference:g}); nothing was published"
        )
    return VerifiedExport(
        parity=tables["fresh_process"],
        tables={name: asdict(parity) for name, parity in tables.items()}
        | {"tokenizer": tokenizers, "score_tolerance": bounds["fresh_process"].difference},
        answers=answers,
        evaluation=task.judge(dev, answers),
        lengths=labelled.full_lengths,
    )


def write_json_file(export: Path, name: Path, content: Any) -> None:
    """Write a JSON file into the export, before it is published."""
    path = export / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
