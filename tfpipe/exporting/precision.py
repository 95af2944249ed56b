"""The type of the served products: as asked, or the fastest here that answers as float32 does."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import tensorflow as tf

from tfpipe.data.read_examples import Examples
from tfpipe.errors import UserError
from tfpipe.exporting.answer_parity import NARROW, NARROW_EDGES, compare_answers, compare_batches
from tfpipe.exporting.clean_process import Answers, Columns, as_answers, batches_of, join
from tfpipe.exporting.edge_batches import make_edge_batches
from tfpipe.exporting.saved_model import ExportedModel
from tfpipe.model.text_model import TextModel
from tfpipe.tasks.task import Task
from tfpipe.training.precision import computes_in_bfloat16

TIMED = 16  # batches of each type that are timed, in turn
ROUNDS = 3


@dataclass(frozen=True)
class PrecisionChoice:
    """The type of the products, the reason, and what was measured where something was."""

    precision: str
    reason: str
    measured: dict[str, Any]


def choose_export_precision(
    name: str, model: TextModel, task: Task, dev: Examples, max_length: int
) -> PrecisionChoice:
    """The type that an export is to have, on the evidence of the dev texts and of this machine.

    name: `auto`, `float32`, `bfloat16` or `float16`. Raises UserError for a type that the model
    cannot have.
    """
    if model.encoder is None:
        if name not in ("auto", "float32"):
            raise UserError(
                "this model is served in float32 alone",
                f"--precision {name}, and a configuration that the fast graph does not compute",
                "leave out --precision",
            )
        return PrecisionChoice("float32", "only stock TFBert computes this model", {})
    if name != "auto":
        return PrecisionChoice(name, "as asked", {})
    if not computes_in_bfloat16():
        return PrecisionChoice("float32", "this machine has no bfloat16 products", {})

    pairs = dev.text_pairs is not None
    batches, probes = batches_of(dev, task), make_edge_batches(task.inputs(pairs), max_length)
    servables = {
        precision: ExportedModel(model, task, max_length, pairs, {}, precision)
        for precision in ("float32", "bfloat16")
    }
    answers = {p: _ask(servable, batches) for p, servable in servables.items()}
    parity = compare_answers(join(answers["bfloat16"]), join(answers["float32"]), task.unit)
    narrow, exact = (_ask(servables[p], probes) for p in ("bfloat16", "float32"))
    edges = compare_batches(narrow, exact, task.unit)
    seconds = _time(servables, batches)
    ratio = seconds["float32"] / seconds["bfloat16"]
    measured = {**asdict(parity), "times_as_fast": ratio}
    seen = f"{parity.other_labels} of {parity.texts} labels others"
    seen += f", scores within {parity.largest_difference:.1e}"
    found = f"{ratio:.2f} times as fast, {seen}"
    if not parity.within(NARROW):
        bounds = f"at most {NARROW.other_labels:.1%} and {NARROW.difference:g} are asked for"
        return PrecisionChoice(
            "float32", f"bfloat16 answers otherwise: {found}; {bounds}", measured
        )
    if not edges.within(NARROW_EDGES):
        seen = f"scores of hard texts differ by up to {edges.largest_difference:.1e}"
        return PrecisionChoice("float32", f"bfloat16 answers otherwise: {found}; {seen}", measured)
    if ratio <= 1:
        return PrecisionChoice("float32", f"bfloat16 is no faster here: {found}", measured)
    return PrecisionChoice("bfloat16", f"{found}, beside float32 on this machine", measured)


def _ask(servable: ExportedModel, batches: Sequence[Columns]) -> list[Answers]:
    return [as_answers(servable.serve(*_tensors(batch))) for batch in batches]


def _time(servables: dict[str, ExportedModel], batches: Sequence[Columns]) -> dict[str, float]:
    """Median seconds of a batch; the types take turns, so that a busy moment meets both."""
    chosen = [_tensors(batch) for batch in batches[:TIMED]]
    taken: dict[str, list[float]] = {precision: [] for precision in servables}
    for _ in range(ROUNDS):
        for batch in chosen:
            for precision, servable in servables.items():
                began = time.perf_counter()
                for values in servable.serve(*batch).values():
                    values.numpy()
                taken[precision].append(time.perf_counter() - began)
    return {precision: statistics.median(seconds) for precision, seconds in taken.items()}


def _tensors(batch: Columns) -> list[tf.Tensor]:
    return [tf.constant(values, tf.string) for values in batch.values()]
