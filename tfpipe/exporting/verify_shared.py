"""Verification of an export of several adapters: its mixed batches against each merged model."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from tfpipe.data.examples import Columns, Examples
from tfpipe.data.tokenizer import Tokenizer
from tfpipe.exporting.answer_parity import Parity, compare_answers, compare_batches, join_parities
from tfpipe.exporting.clean_process import Answers, batches_of, join, run_in_clean_process
from tfpipe.exporting.clean_process import Columns as Batch
from tfpipe.exporting.edge_batches import make_edge_batches
from tfpipe.exporting.own_answers import OwnAnswers
from tfpipe.exporting.reference_parity import compare_tokenizers
from tfpipe.exporting.shared_model import INPUTS, NO_SCORE, UNKNOWN_ADAPTER
from tfpipe.exporting.unsupported_ops import refuse_unsupported
from tfpipe.exporting.verify_export import VerifiedExport, check_parity
from tfpipe.run_folder import Run

logger = logging.getLogger(__name__)


class TextAndAdapter:
    """Inputs of an export of several adapters: the adapter's name is the second text of a row."""

    @staticmethod
    def inputs(pairs: bool = True) -> Sequence[str]:
        """Return the names of its two inputs."""
        return INPUTS

    @staticmethod
    def served_texts(examples: Examples) -> Examples:
        """Return the examples as they are."""
        return examples


def mix_dev(merged: Sequence[OwnAnswers]) -> tuple[Examples, np.ndarray]:
    """Return the dev texts of all adapters, those of different adapters in turn.

    Returns:
        The texts, with the name of their adapter as second text, and int [N], the place of each
        among the texts of the first adapter, then those of the second, and so on.
    """
    owners = np.repeat(range(len(merged)), [len(one.dev) for one in merged])
    rows = np.concatenate([np.arange(len(one.dev)) for one in merged])
    order = np.lexsort((owners, rows))
    texts = [text for one in merged for text in one.dev.texts]
    names = [merged[owner].name for owner in owners]
    mixed = Examples(
        [texts[i] for i in order], [names[i] for i in order], None, "dev of all runs", Columns()
    )
    return mixed, order


def verify_shared(
    export: Path, merged: Sequence[OwnAnswers], run: Run, tokenizer: Tokenizer, precision: str
) -> tuple[dict[str, Any], list[VerifiedExport]]:
    """Run the export in a process that imports TensorFlow alone, on batches that mix adapters.

    Args:
        export: The SavedModel's folder.
        merged: What each adapter must answer, in the export's order.
        run: One of the runs, whose length and tokenizer are those of all.
        tokenizer: That tokenizer.
        precision: Type of the export's products.

    Returns:
        All comparisons, for parity.json, and the verification of each adapter.

    Raises:
        RuntimeError: It needs operations beyond TensorFlow's core, or a row is answered unlike by
            its adapter's merged model.
    """
    max_length = run.config.max_length
    mixed, order = mix_dev(merged)
    served, edges = _ask(export, mixed, merged, max_length)
    answers = {name: values[np.argsort(order)] for name, values in served.items()}
    expected_edges = [
        _own_rows([one.edges[number] for one in merged], number) for number in range(len(edges))
    ]
    parities = {
        "fresh_process": compare_answers(answers, join([one.answers for one in merged])),
        "edges": compare_batches(edges, expected_edges),
    }
    if stock := [parity for one in merged for parity in one.stock]:
        parities["stock_bert"] = join_parities(stock)
    alone = replace(mixed, text_pairs=None)
    tokenizers = compare_tokenizers(tokenizer, run.model, alone, max_length)
    tolerance = check_parity(parities, tokenizers, precision)
    tables: dict[str, Any] = {name: asdict(parity) for name, parity in parities.items()}
    tables |= {"tokenizer": tokenizers, "score_tolerance": tolerance}
    return tables, [*_by_adapter(merged, answers, parities["fresh_process"], tables)]


def _ask(
    export: Path, mixed: Examples, merged: Sequence[OwnAnswers], max_length: int
) -> tuple[Answers, Sequence[Answers]]:
    """Return the export's answers to mixed texts and to each edge batch; raises RuntimeError."""
    batches = batches_of(mixed, TextAndAdapter)
    texts = make_edge_batches(INPUTS[:1], max_length)
    edges = [*_mix_edges(texts, [one.name for one in merged])]
    result = run_in_clean_process(export, [*batches, *edges, _with_unknown(merged)])
    kinds = refuse_unsupported(export, result.operations)
    logger.info(f"all {kinds} kinds of operations are of TensorFlow's core")
    *found, unknown = result.answered()
    _refuse_answered(unknown)
    return join(found[: len(batches)]), found[len(batches) :]


def _by_adapter(
    merged: Sequence[OwnAnswers], answers: Answers, parity: Parity, tables: dict[str, Any]
) -> Iterator[VerifiedExport]:
    """Split the answers, in the order of the adapters, into those of each."""
    start = 0
    for one in merged:
        rows = slice(start, start + len(one.dev))
        own = {name: values[rows] for name, values in answers.items()}
        own["scores"] = own["scores"][:, : len(one.task.label_names)]
        yield VerifiedExport(parity, tables, own, one.task.judge(one.dev, own), one.lengths)
        start = rows.stop


def _owners(number: int, rows: int, adapters: int) -> np.ndarray:
    """The adapter of each row of an edge batch: they take turns."""
    return (number + np.arange(rows)) % adapters


def _mix_edges(texts: Sequence[Batch], names: Sequence[str]) -> Iterator[Batch]:
    for number, batch in enumerate(texts):
        owners = _owners(number, len(batch["text"]), len(names))
        yield {**batch, "adapter": [names[owner].encode() for owner in owners]}


def _own_rows(each: Sequence[Answers], number: int) -> Answers:
    """Return the answers to an edge batch: of each row those of its adapter."""
    rows = len(each[0]["label"])
    chosen = _owners(number, rows, len(each)) * rows + np.arange(rows)
    return {name: values[chosen] for name, values in join(each).items()}


def _with_unknown(merged: Sequence[OwnAnswers]) -> Batch:
    names = [merged[0].name.encode(), b"", b"no such adapter"]
    return {"text": [b"a text"] * len(names), "adapter": names}


def _refuse_answered(answers: Answers) -> None:
    """Raise RuntimeError unless the last two rows, of unknown adapters, alone have no answer."""
    labels, scores = answers["label"].tolist(), answers["scores"][1:]
    known = labels[0] != UNKNOWN_ADAPTER and answers["scores"][0].max() >= 0
    if not known or {*labels[1:]} != {UNKNOWN_ADAPTER} or not (scores == NO_SCORE).all():
        raise RuntimeError(
            f"the export does not answer for unknown adapters as it must ({labels}); nothing was"
            " published"
        )
