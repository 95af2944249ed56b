"""The weight and the floor of an index, configured or chosen on questions, and its figures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from tfpipe.config.index import IndexConfig
from tfpipe.config.requirements import parse_requirements
from tfpipe.errors import UserError, did_you_mean, raise_all
from tfpipe.exporting.gate import flatten_metrics
from tfpipe.retrieval.indexed_model import Search
from tfpipe.retrieval.questions import Questions
from tfpipe.retrieval.ranking import (
    DEFAULT_WEIGHT,
    WEIGHTS,
    Ranks,
    answer_first,
    choose_floor,
    figures,
    rank_answered,
)
from tfpipe.retrieval.reference import Asked, Reference
from tfpipe.text_display import align_columns

FIGURES = ("recall_at_1", "recall_at_5", "mrr_at_10")


@dataclass(frozen=True)
class Tuned:
    """A search, and what labelled questions say about it.

    Attributes:
        search: How entries are ranked.
        metrics: `questions`, `weight`, `floor`, the figures of each half and of both, and
            `answering` with those of the floor; {} without questions.
    """

    search: Search
    metrics: dict[str, Any] = field(default_factory=dict)

    def as_lines(self) -> Iterator[str]:
        """Yield the figures, weight and floor as lines; nothing without questions."""
        if not self.metrics:
            return
        rows = [["", *FIGURES]]
        rows += [
            [name, *(f"{self.metrics[name][figure]:.4f}" for figure in FIGURES)]
            for name in ("dense", "lexical", "hybrid")
            if name in self.metrics
        ]
        yield from align_columns(rows)
        yield f"weight of the vectors {self.search.weight:g}, floor {self.search.floor:.4g}"
        if answering := self.metrics.get("answering"):
            yield (
                f"above the floor: {answering['in_scope_accuracy']:.1%} of the questions with an"
                f" entry get it first, {answering['out_of_scope_recall']:.1%} of the others get"
                " nothing"
            )


def halves_of(config: IndexConfig) -> Sequence[str]:
    """Return the names of what is measured: `dense`, `lexical`, and `hybrid` of both."""
    if config.dense_only or config.lexical_only:
        return ("dense",) if config.dense_only else ("lexical",)
    return ("dense", "lexical", "hybrid")


def fixed_search(config: IndexConfig) -> Search:
    """Return the search as far as it is configured, with the defaults for the rest."""
    weight = DEFAULT_WEIGHT if config.weight is None else config.weight
    if config.dense_only or config.lexical_only:
        weight = float(config.dense_only)
    return Search(weight, config.floor or 0.0, config.top_k)


def tune(config: IndexConfig, reference: Reference, asked: Asked, questions: Questions) -> Tuned:
    """Choose what is not configured, and measure.

    A chosen weight has the best MRR@10. The figures of the hybrid are then those of questions that
    the weight was not chosen on (cross-fitting).

    Args:
        config: The configuration.
        reference: Scores of the entries.
        asked: The questions as the encoder gives them.
        questions: The labelled questions.
    """
    fixed, halves = fixed_search(config), halves_of(config)
    chooses = config.weight is None and "hybrid" in halves
    weights = WEIGHTS if chooses else sorted({0.0, fixed.weight, 1.0})
    ranks = rank_answered(reference, asked, questions, list(weights))
    weight = ranks.best() if chooses else fixed.weight
    metrics: dict[str, Any] = {"questions": len(questions.texts), "weight": weight}
    for half in halves:
        metrics[half] = figures(_ranks_of(half, ranks, weight, chooses))
    floor = fixed.floor
    if config.floor is None and not questions.answered.all():
        floor, held_out = choose_floor(answer_first(reference, asked, questions, weight))
        metrics["answering"] = asdict(held_out)
    return Tuned(Search(weight, floor, config.top_k), metrics | {"floor": floor})


def _ranks_of(half: str, ranks: Ranks, weight: float, chosen: bool) -> np.ndarray:
    if half != "hybrid":
        return ranks.at({"dense": 1.0, "lexical": 0.0}[half])
    return ranks.held_out() if chosen else ranks.at(weight)


def check_requirements(config: IndexConfig) -> None:
    """Raise UserError for metrics of --require that an index does not have."""
    known = [f"{half}.{name}" for half in halves_of(config) for name in FIGURES]
    raise_all(
        [
            UserError(
                f"--require names no metric of this index: {one.metric}",
                str(one),
                f"{did_you_mean(one.metric, known)}known: {', '.join(known)}",
            )
            for one in parse_requirements(config.require)
            if one.metric not in known
        ]
    )


def meet_requirements(config: IndexConfig, tuned: Tuned) -> list[dict[str, Any]]:
    """Return the requirements with what was found; raises UserError for those that are not met."""
    found = flatten_metrics(tuned.metrics)
    required = parse_requirements(config.require)
    raise_all(
        [
            UserError(
                "the index does not reach what --require asks for, nothing was published",
                f"{one.metric} is {found[one.metric]:.6g}, required {one}",
                "train the encoder on questions and answers (--task embed), or ask for less",
            )
            for one in required
            if not one.is_met(found[one.metric])
        ]
    )
    return [{"requirement": str(one), "found": found[one.metric]} for one in required]
