"""Building of an index: encoding, tuning, gate, the verified SavedModel with its files."""

from __future__ import annotations

import hashlib
import importlib.metadata
import logging
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

import tfpipe
from tfpipe.config.index import IndexConfig
from tfpipe.errors import UserError
from tfpipe.exporting.gate import GATE_FILE
from tfpipe.exporting.info import write_info
from tfpipe.exporting.server_flags import recommend_flags
from tfpipe.exporting.verify_export import PARITY_FILE, write_json_file
from tfpipe.exporting.warmup import write_warm_up
from tfpipe.retrieval.entries import Entries
from tfpipe.retrieval.indexed_model import IndexedModel, Search, Statistics
from tfpipe.retrieval.lexical import build_postings
from tfpipe.retrieval.published_index import SEARCH, compare_with_version
from tfpipe.retrieval.questions import Questions
from tfpipe.retrieval.reference import Reference, ask
from tfpipe.retrieval.text_encoder import TextEncoder
from tfpipe.retrieval.tuning import Tuned, fixed_search, meet_requirements, tune
from tfpipe.retrieval.verify_index import (
    ASKED_QUESTIONS,
    OneText,
    Verification,
    as_examples,
    spread,
    verify_index,
)

logger = logging.getLogger(__name__)

REPORT_SECONDS = 10.0


@dataclass(frozen=True)
class Material:
    """What an index is built of.

    Attributes:
        config: The configuration.
        encoder: The encoder.
        entries: The entries.
        questions: Labelled questions, or None.
    """

    config: IndexConfig
    encoder: TextEncoder
    entries: Entries
    questions: Questions | None


def build_index(material: Material, folder: Path, name: str) -> Tuned:
    """Write and verify an index in `folder`.

    Args:
        material: What it is built of.
        folder: An empty folder.
        name: Name of the model.

    Returns:
        The search, with its figures.

    Raises:
        UserError: The gate refuses it.
        RuntimeError: It does not answer as the reference.
    """
    config, entries, questions = material.config, material.entries, material.questions
    statistics, reference = compute(material)
    tuned = Tuned(fixed_search(config))
    if questions is not None:
        asked = ask(material.encoder, questions.texts, reference)
        tuned = tune(config, reference, asked, questions)
    gate: dict[str, Any] = {"required": meet_requirements(config, tuned)}
    facts = _describe(material, tuned)
    graph = IndexedModel(material.encoder, entries, statistics, tuned.search, facts)
    graph.save(str(folder))
    logger.info("the graph is written")

    texts = questions.texts if questions else ()
    verification = Verification(material.encoder, entries, reference, tuned.search)
    # All questions are asked where their answers are compared with those of another version.
    proof = texts if config.not_worse_than else spread(texts, ASKED_QUESTIONS)
    tables, answers = verify_index(folder, verification, proof)
    logger.info("a fresh process answers as the reference does")
    if config.not_worse_than and questions:
        compared = compare_with_version(config.not_worse_than, entries, questions, answers)
        gate["not_worse_than"] = compared.as_json()
        logger.info(str(compared))
    facts |= _write_files(material, folder, name)
    write_json_file(folder, PARITY_FILE, tables)
    write_json_file(folder, GATE_FILE, gate)
    write_info(folder, facts | {"parity": tables, "gate": gate})
    return tuned


def _write_files(material: Material, folder: Path, name: str) -> dict[str, Any]:
    """Write warm-up requests and server flags; return what is measured for `info`."""
    config, questions = material.config, material.questions
    texts = questions.texts if questions else material.entries.texts
    examples = as_examples(texts, config.tune or config.data)
    lengths = np.array([len(text) for text in texts])
    requests = write_warm_up(folder, name, OneText, examples, lengths)
    logger.info(f"{requests} requests to warm up with are written and read back")
    if not config.measure_serving:
        return {}
    return {"serving": recommend_flags(folder, OneText, examples)}


def compute(material: Material) -> tuple[Statistics, Reference]:
    """Encode the entries."""
    config, encoder, entries = material.config, material.encoder, material.entries
    unknown = encoder.info.get("unknown_id")
    tokens = None if config.dense_only else encoder.tokenize_all(entries.texts)
    vectors = None
    if not config.lexical_only:
        vectors = embed_entries(material)
    cut = sum(len(row) > encoder.max_length for row in tokens or ()) if vectors is not None else 0
    if cut:
        logger.info(
            f"note: the vectors of {cut:,} of {len(entries):,} entries are of their first"
            f" {encoder.max_length} tokens; the lexical half reads all of them"
        )
    postings = None if tokens is None else build_postings(tokens, unknown)
    return Statistics(vectors, postings), Reference(vectors, tokens, unknown)


def embed_entries(material: Material) -> np.ndarray:
    """Return the vectors of the entries, float32 [N, H]; raises UserError if one is not finite."""
    encoder, entries = material.encoder, material.entries
    report = _reporter(len(entries))
    vectors = encoder.embed_all(entries.texts, material.config.batch_size, report)
    if not np.isfinite(vectors).all():
        raise UserError(
            "the vectors of the model are not finite numbers",
            f"{encoder.folder}: those of {int((~np.isfinite(vectors)).any(axis=1).sum())} of"
            f" {len(entries)} entries",
            "train it again, with a lower --learning-rate",
        )
    return vectors


def _reporter(count: int) -> Callable[[int], None]:
    """Return a function that logs the number of encoded entries every ten seconds."""
    last = time.monotonic()

    def report(done: int) -> None:
        nonlocal last
        if time.monotonic() - last > REPORT_SECONDS or done == count:
            last = time.monotonic()
            logger.info(f"encoded {done:,} of {count:,} entries")

    return report


def _describe(material: Material, tuned: Tuned) -> dict[str, Any]:
    """Return the metadata that are known before the index is verified."""
    source = material.encoder.info
    kept = ("max_length", "vocabulary_sha256", "train_sha256", "precision")
    return {
        "task": SEARCH,
        # Columns of scores that clients count: none.
        "labels": [],
        **{name: source[name] for name in kept if name in source},
        "encoder": {
            "model": f"{material.encoder.folder.parent.name}/{material.encoder.folder.name}",
            "task": source.get("task"),
            "parity": source.get("parity"),
        },
        "index": describe_index(material, tuned.search),
        "versions": {
            "tfpipe": tfpipe.__version__,
            "tensorflow": importlib.metadata.version("tensorflow"),
        },
        "metrics": {"tune": tuned.metrics or None},
    }


def describe_index(material: Material, search: Search) -> dict[str, Any]:
    """Return what `info` says of the entries and how they are ranked."""
    return {
        "entries": len(material.entries),
        "columns": dict(material.entries.columns),
        "data_sha256": hashlib.sha256(Path(material.config.data).read_bytes()).hexdigest(),
        **asdict(search),
    }
