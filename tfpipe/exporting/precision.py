"""Choice of the type of an export's products: as configured, or the fastest that is accurate."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import tensorflow as tf

from tfpipe.data.batches import plan_reading, read_batches
from tfpipe.data.examples import Examples
from tfpipe.errors import UserError
from tfpipe.exporting.answer_parity import (
    NARROW,
    NARROW_EDGES,
    Parity,
    compare_answers,
    compare_batches,
)
from tfpipe.exporting.clean_process import Answers, Columns, as_answers, batches_of, join
from tfpipe.exporting.edge_batches import make_edge_batches
from tfpipe.exporting.saved_model import ExportedModel
from tfpipe.model.text_model import TextModel
from tfpipe.tasks.task import Task
from tfpipe.training.precision import computes_in_bfloat16

TIMED = 16  # batches of each type that are timed, in turn
ROUNDS = 3
# Batches of dev that scales of int8 are chosen on, and their rows.
SCALED, SCALED_ROWS = 10, 32


@dataclass(frozen=True)
class PrecisionChoice:
    """The type of an export's products.

    Attributes:
        precision: `float32`, `bfloat16`, `float16` or `int8`.
        reason: Why it was chosen.
        measured: Parity and speed, where they were measured.
    """

    precision: str
    reason: str
    measured: dict[str, Any]


def choose_export_precision(
    name: str, model: TextModel, task: Task, dev: Examples, max_length: int
) -> PrecisionChoice:
    """Choose the type of an export's products.

    `auto` takes bfloat16 where it is faster on this machine and answers the dev texts and the edge
    batches within the tolerances of a narrow type. Where products in int8 are asked for and are not
    faster than in float32, it is as `auto`.

    Args:
        name: `auto`, `float32`, `bfloat16`, `float16` or `int8`.
        model: The trained model; for `int8` with scales.
        task: Its task.
        dev: Its dev examples.
        max_length: Tokens of an input.

    Raises:
        UserError: The model cannot be exported in this type.
    """
    if model.encoder is None:
        if name not in ("auto", "float32"):
            raise UserError(
                "this model can be exported in float32 only",
                f"--precision {name}, and a configuration that the fast graph does not compute",
                "leave out --precision",
            )
        return PrecisionChoice("float32", "only stock TFBert computes this model", {})
    if name not in ("auto", "int8"):
        return PrecisionChoice(name, "as asked", {})
    trial, slow = _Trial(model, task, dev, max_length), ""
    if name == "int8":
        choice = _decide_int8(trial.speed("int8"))
        if choice.precision == "int8":
            return choice
        slow = f"{choice.reason}; "
    if not computes_in_bfloat16():
        return PrecisionChoice("float32", f"{slow}this machine has no bfloat16 products", {})
    choice = _decide_bfloat16(*trial.parity("bfloat16"), trial.speed("bfloat16"))
    return replace(choice, reason=slow + choice.reason)


class _Trial:
    """Exports of a model in several types, and their answers to the dev texts."""

    def __init__(self, model: TextModel, task: Task, dev: Examples, max_length: int):
        pairs = dev.text_pairs is not None
        self._open = partial(ExportedModel, model, task, max_length, pairs, {})
        self._models: dict[str, ExportedModel] = {}
        self._batches, self._unit = batches_of(dev, task), task.unit
        self._edges = make_edge_batches(task.inputs(pairs), max_length)

    def speed(self, precision: str) -> float:
        """Return how many times as fast as float32 the type is."""
        seconds = _time(self._pair(precision), self._batches)
        return seconds["float32"] / seconds[precision]

    def parity(self, precision: str) -> tuple[Parity, Parity]:
        """Return the parity with float32 on the dev texts and on the edge batches."""
        exact, narrow = self._pair(precision).values()
        of_dev = [join(_answer(one, self._batches)) for one in (narrow, exact)]
        of_edges = [_answer(one, self._edges) for one in (narrow, exact)]
        return (
            compare_answers(of_dev[0], of_dev[1], self._unit),
            compare_batches(of_edges[0], of_edges[1], self._unit),
        )

    def _pair(self, precision: str) -> dict[str, ExportedModel]:
        """Return the exports in float32 and in the type."""
        for name in ("float32", precision):
            if name not in self._models:
                self._models[name] = self._open(name)
        return {name: self._models[name] for name in ("float32", precision)}


def scaled_for_int8(model: TextModel, task: Task, dev: Examples, max_length: int) -> TextModel:
    """Return a model with scales of int8, chosen on dev texts; raises UserError without int8."""
    if model.encoder is None:
        return model
    encoded = task.label(task.served_texts(dev), model.tokenizer, max_length).encoded
    strategy = tf.distribute.get_strategy()
    batches = read_batches(encoded, plan_reading(encoded.lengths, SCALED_ROWS, 1), strategy)
    # From the longest texts to the shortest.
    step = max(1, -(-len(encoded) // (SCALED_ROWS * SCALED)))
    return model.with_int8_scales(batches.shard(step, 0))


def _decide_int8(ratio: float) -> PrecisionChoice:
    """Choose by how many times as fast as float32 int8 is."""
    measured = {"times_as_fast": ratio}
    if ratio > 1:
        reason = f"as asked, {ratio:.2f} times as fast as float32 on this machine"
        return PrecisionChoice("int8", reason, measured)
    reason = f"int8 is not faster here ({ratio:.2f} times as fast as float32)"
    return PrecisionChoice("float32", reason, measured)


def _decide_bfloat16(parity: Parity, edges: Parity, ratio: float) -> PrecisionChoice:
    """Choose by the parity of bfloat16 with float32, and by how many times as fast it is."""
    measured = {**asdict(parity), "times_as_fast": ratio}
    found = (
        f"{ratio:.2f} times as fast, {parity.other_labels} of {parity.texts} labels differ,"
        f" scores within {parity.largest_difference:.1e}"
    )
    if not parity.within(NARROW):
        bounds = f"at most {NARROW.other_labels:.1%} and {NARROW.difference:g} are allowed"
        reason = f"answers in bfloat16 differ: {found}; {bounds}"
        return PrecisionChoice("float32", reason, measured)
    if not edges.within(NARROW_EDGES):
        difference = f"scores of edge texts differ by up to {edges.largest_difference:.1e}"
        reason = f"answers in bfloat16 differ: {found}; {difference}"
        return PrecisionChoice("float32", reason, measured)
    if ratio <= 1:
        return PrecisionChoice("float32", f"bfloat16 is not faster here: {found}", measured)
    return PrecisionChoice("bfloat16", f"{found}, compared with float32 on this machine", measured)


def _answer(model: ExportedModel, batches: Sequence[Columns]) -> list[Answers]:
    return [as_answers(model.serve(*_tensors(batch))) for batch in batches]


def _time(models: dict[str, ExportedModel], batches: Sequence[Columns]) -> dict[str, float]:
    """Return the median seconds of a batch; they alternate, so that other load affects both."""
    chosen = [_tensors(batch) for batch in batches[:TIMED]]
    taken: dict[str, list[float]] = {precision: [] for precision in models}
    for _ in range(ROUNDS):
        for batch in chosen:
            for precision, model in models.items():
                began = time.perf_counter()
                for values in model.serve(*batch).values():
                    values.numpy()
                taken[precision].append(time.perf_counter() - began)
    return {precision: statistics.median(seconds) for precision, seconds in taken.items()}


def _tensors(batch: Columns) -> list[tf.Tensor]:
    return [tf.constant(values, tf.string) for values in batch.values()]
