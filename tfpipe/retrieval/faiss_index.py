"""An index of more entries than a graph holds: a faiss index inside a version of its encoder.

The encoder is served; clients search the index with its vectors (`serving.client.faiss_index`).
"""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from tfpipe.config.index import IndexConfig
from tfpipe.config.settings import flag_of
from tfpipe.errors import UserError
from tfpipe.exporting.gate import GATE_FILE
from tfpipe.exporting.info import read_info, write_info
from tfpipe.exporting.verify_export import write_json_file
from tfpipe.exporting.warmup import write_warm_up
from tfpipe.locations import Location
from tfpipe.retrieval.build_index import Material, describe_index, embed_entries
from tfpipe.retrieval.entries import Entries
from tfpipe.retrieval.published_index import EMBED
from tfpipe.retrieval.reference import Reference, ask
from tfpipe.retrieval.tuning import Tuned, fixed_search, meet_requirements, tune
from tfpipe.retrieval.verify_index import ASKED_ENTRIES, OneText, as_examples
from tfpipe.run_folder import open_run

logger = logging.getLogger(__name__)

# serving.client.faiss_index reads these.
INSIDE = Path("assets.extra", "faiss")
SETTINGS, VECTORS, ENTRIES = "index.json", "vectors.faiss", "entries.jsonl"
TOLERANCE = 1e-5
# Characters of the entry that clients send with each search: long enough to be of this encoder,
# short enough to cost little.
PROBE_LENGTH = 20
# What ranks by more than vectors, or asks the graph of the index.
NEEDS_GRAPH = ("lexical_only", "weight", "not_worse_than")


def check_faiss(config: IndexConfig, place: Location, entries: int, most: int) -> None:
    """Check that a faiss index can be made, before any work.

    Args:
        config: The configuration.
        place: The run or export.
        entries: Number of entries.
        most: Of a graph.

    Raises:
        UserError: It cannot be made.
    """
    many, fewer = f"an index of more than {most:,} entries", "divide the entries between indexes"
    found = f"{entries:,} in {config.data}"
    given = [flag_of(name) for name in NEEDS_GRAPH if getattr(config, name) not in (None, False)]
    if given:
        raise UserError(
            f"{many} is searched by its vectors alone, outside the graph",
            f"{found}, and {' and '.join(given)}",
            f"leave out {' and '.join(given)}, or {fewer}",
        )
    info = vars(open_run(place.path).config) if place.kind == "run" else read_info(place.folder)
    if info.get("task") != EMBED:
        raise UserError(
            f"{many} needs an encoder of --task {EMBED}",
            f"{place.path}: its task is {info.get('task') or 'not known'}",
            f"give a run or an export of `tfpipe.train --task {EMBED}`, or {fewer}",
        )
    try:
        import faiss  # noqa: F401
    except ImportError:
        raise UserError(
            f"{many} needs the package faiss",
            f"{found}, and faiss cannot be imported",
            f"install it with `pip install faiss-cpu`, or {fewer}",
        ) from None


def build_faiss(material: Material, folder: Path, name: str) -> Tuned:
    """Write a version of the encoder with an index inside.

    Args:
        material: What it is built of.
        folder: An empty folder.
        name: Name of the model.

    Returns:
        The search, with its figures.

    Raises:
        UserError: The vectors are not finite, or the gate refuses the index.
        RuntimeError: The index, read back, does not answer as NumPy.
    """
    encoder, entries = material.encoder, material.entries
    vectors = embed_entries(material)
    tuned = _tune(material, vectors)
    gate = {"required": meet_requirements(material.config, tuned)}
    not_copied = shutil.ignore_patterns(INSIDE.name, GATE_FILE.name)
    shutil.copytree(encoder.folder, folder, ignore=not_copied, dirs_exist_ok=True)
    inside = folder / INSIDE
    inside.mkdir(parents=True)
    _write(entries, vectors, inside)
    _verify(inside / VECTORS, vectors)
    logger.info("the index is written, and answers as NumPy does")
    probe = min(range(len(entries)), key=lambda row: abs(len(entries.texts[row]) - PROBE_LENGTH))
    settings = {
        "entries": len(entries),
        "top_k": tuned.search.top_k,
        "floor": tuned.search.floor,
        "probe": entries.texts[probe],
        "probe_vector": vectors[probe].tolist(),
    }
    write_json_file(folder, INSIDE / SETTINGS, settings)
    write_json_file(folder, GATE_FILE, gate)
    described = {"index": describe_index(material, tuned.search), "gate": gate}
    write_info(folder, {**encoder.info, **described})
    examples = as_examples(entries.texts, material.config.data)
    lengths = np.array([len(text) for text in entries.texts])
    write_warm_up(folder, name, OneText, examples, lengths)
    return tuned


def _tune(material: Material, vectors: np.ndarray) -> Tuned:
    config, questions = material.config, material.questions
    if questions is None:
        return Tuned(fixed_search(config))
    reference = Reference(vectors, None, None)
    return tune(config, reference, ask(material.encoder, questions.texts, reference), questions)


def _write(entries: Entries, vectors: np.ndarray, inside: Path) -> None:
    import faiss

    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    faiss.write_index(index, str(inside / VECTORS))
    with (inside / ENTRIES).open("w", encoding="ascii") as file:
        for row, entry in enumerate(entries.ids):
            found: dict[str, Any] = {"id": entry, "answer": entries.answers[row]}
            if entries.payloads:
                found["payload"] = json.loads(entries.payloads[row])
            file.write(json.dumps(found) + "\n")


def _verify(file: Path, vectors: np.ndarray) -> None:
    """Search for some entries in the index that was written; raises RuntimeError."""
    import faiss

    count = len(vectors)
    rows = np.linspace(0, count - 1, min(ASKED_ENTRIES, count), dtype=int)
    scores, found = faiss.read_index(str(file)).search(vectors[rows], 1)
    cosines = vectors[rows] @ vectors.T
    chosen = cosines[np.arange(len(rows)), found[:, 0]]
    largest = max(np.abs(scores[:, 0] - best).max() for best in (chosen, cosines.max(axis=1)))
    if not largest <= TOLERANCE:
        raise RuntimeError(
            f"the index does not answer as NumPy does (largest score difference {largest:.1e});"
            " nothing was published"
        )
