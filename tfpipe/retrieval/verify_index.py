"""Verification of an index before it is published: a fresh process answers as the reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfpipe.data.examples import Columns, Examples
from tfpipe.exporting.answer_parity import EXACT, NARROW, Parity, join_parities
from tfpipe.exporting.clean_process import Answers, batches_of, join, run_in_clean_process
from tfpipe.exporting.edge_batches import make_edge_batches
from tfpipe.exporting.unsupported_ops import refuse_unsupported
from tfpipe.retrieval.entries import Entries
from tfpipe.retrieval.indexed_model import NO_SCORE, Search
from tfpipe.retrieval.reference import Reference, ask
from tfpipe.retrieval.text_encoder import TextEncoder

# Entries whose own texts are asked, and questions, each spread over all of them.
ASKED_ENTRIES, ASKED_QUESTIONS = 64, 256


class OneText:
    """Inputs of an index."""

    @staticmethod
    def inputs(pairs: bool = False) -> Sequence[str]:
        """Return the name of its only input."""
        return ["text"]

    @staticmethod
    def served_texts(examples: Examples) -> Examples:
        """Return the examples: their texts are what it takes."""
        return examples


def as_examples(texts: Sequence[str], path: str) -> Examples:
    """Return texts without labels."""
    return Examples(texts, None, None, path, Columns())


@dataclass(frozen=True)
class Verification:
    """What an index is verified by.

    Attributes:
        encoder: Its encoder.
        entries: Its entries.
        reference: Their scores by NumPy.
        search: How they are ranked.
    """

    encoder: TextEncoder
    entries: Entries
    reference: Reference
    search: Search


def verify_index(
    index: Path, verification: Verification, questions: Sequence[str]
) -> tuple[dict[str, Any], Answers]:
    """Run an index in a process that imports TensorFlow alone and compare it with the reference.

    Args:
        index: The SavedModel's folder.
        verification: What it is held against.
        questions: Texts to ask beside those of entries and the edge cases.

    Returns:
        The comparisons, for parity.json, and the answers to the questions.

    Raises:
        RuntimeError: It needs operations beyond TensorFlow's core, or answers differently.
    """
    own = spread(verification.entries.texts, ASKED_ENTRIES)
    batches = {
        name: batches_of(as_examples(texts, name), OneText)
        for name, texts in (("entries", own), ("questions", questions))
        if texts
    }
    batches["edges"] = make_edge_batches(OneText.inputs(), verification.encoder.max_length)
    result = run_in_clean_process(index, [batch for part in batches.values() for batch in part])
    refuse_unsupported(index, result.operations)
    found = iter(result.answered())
    precision = verification.encoder.info.get("precision", {}).get("precision", "float32")
    bounds = EXACT if precision == "float32" else NARROW
    tables: dict[str, Any] = {"score_tolerance": bounds.difference}
    asked: list[Answers] = []
    for name, part in batches.items():
        answers = [next(found) for _ in part]
        parity = join_parities(
            [
                compare_with_reference(one, batch["text"], verification, bounds.difference)
                for one, batch in zip(answers, part, strict=True)
            ]
        )
        tables[name] = asdict(parity)
        if not parity.within(bounds):
            raise RuntimeError(
                f"the index does not answer as the reference does ({name}: of {parity.texts} texts"
                f" {parity.other_labels} with another entry, largest score difference"
                f" {parity.largest_difference:.1e}); nothing was published"
            )
        asked = answers if name == "questions" else asked
    return tables, join(asked) if asked else {}


def spread(texts: Sequence[str], most: int) -> list[str]:
    """Return at most so many of the texts, spread over all of them."""
    rows = np.linspace(0, len(texts) - 1, min(most, len(texts)), dtype=int)
    return [texts[row] for row in rows]


def compare_with_reference(
    answers: Answers, texts: Sequence[bytes], verification: Verification, tolerance: float
) -> Parity:
    """Compare answers with the reference.

    An entry is right at its place if its own score there is the reference's, and as high as the
    score that the reference has at this place: of entries of one score either may come first.

    Args:
        answers: `id`, `answer`, `score` and perhaps `payload`, [Q, K] each.
        texts: The Q texts.
        verification: What they are held against.
        tolerance: Of scores.
    """
    if not texts:
        return Parity(0, 0, 0.0)
    search, reference = verification.search, verification.reference
    scores = reference.scores(ask(verification.encoder, texts, reference), search.weight)
    best = np.sort(scores, axis=1)[:, ::-1][:, : search.top_k]
    best = np.pad(best, [(0, 0), (0, search.top_k - best.shape[1])])
    places = {entry: place for place, entry in enumerate(verification.entries.ids)}
    other, largest = 0, 0.0
    for row in range(len(texts)):
        used = answers["id"][row] != ""
        chosen = [places.get(entry, -1) for entry in answers["id"][row][used]]
        given, wanted = answers["score"][row], best[row]
        right = (
            _are_entries(answers, row, chosen, verification.entries)
            and used.tolist() == sorted(used, reverse=True)
            and (given[~used] == NO_SCORE).all()
            and (wanted[~used] < max(search.floor, tolerance) + tolerance).all()
            and (wanted[used] >= search.floor - tolerance).all()
        )
        if right and chosen:
            apart = np.abs([given[used] - scores[row, chosen], given[used] - wanted[used]])
            largest = float(np.maximum(largest, apart.max()))
        other += not right
    return Parity(len(texts), other, largest)


def _are_entries(answers: Answers, row: int, chosen: Sequence[int], entries: Entries) -> bool:
    """Return whether the first places of a row hold different entries, each with its own texts."""
    columns = {"answer": entries.answers}
    columns |= {"payload": entries.payloads} if entries.payloads else {}
    return (
        -1 not in chosen
        and len({*chosen}) == len(chosen)
        and all(
            answers[name][row][place] == values[entry]
            for name, values in columns.items()
            for place, entry in enumerate(chosen)
        )
    )
