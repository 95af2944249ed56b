"""Search on the client's side: a faiss index of the vectors that a served encoder makes."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from serving.client.answers import SearchResult, Vector
from serving.client.errors import InvalidRequest

# Where `tfpipe.index` writes it in a version, and its files.
INSIDE = Path("assets.extra", "faiss")
SETTINGS, VECTORS, ENTRIES = "index.json", "vectors.faiss", "entries.jsonl"
# Least cosine of two vectors of one text by one encoder: bfloat16 and other processors round.
SAME_ENCODER = 0.999


@dataclass(frozen=True, eq=False)
class FaissIndex:
    """An opened index; `open_index` returns it. Threads may share it.

    Args:
        folder: Its folder.
        top_k: Most entries in an answer.
        floor: Least score of an entry in an answer.
        probe: Text of an entry, sent with each search: its vector shows whether the server has the
            encoder of the index.
        probe_vector: Its vector, float32 [H], by that encoder.
        vectors: faiss.IndexFlatIP of N vectors, each of length 1.
        entries: N JSON objects with `id`, `answer`, and `payload` where the table has one.
    """

    folder: Path
    top_k: int
    floor: float
    probe: str
    probe_vector: Vector
    vectors: Any
    entries: Sequence[bytes]

    def has_encoder(self, vector: Vector) -> bool:
        """Return whether the vector of the probe is that of the index's encoder."""
        same_size = vector.shape == self.probe_vector.shape
        return same_size and float(vector @ self.probe_vector) >= SAME_ENCODER

    def search(
        self, texts: Iterable[str | bytes], vectors: Sequence[Vector]
    ) -> list[list[SearchResult]]:
        """Find the entries with the highest cosines, the best first.

        Args:
            texts: B texts; a blank one has no entries.
            vectors: Their vectors, float32 [H] of length 1 each.
        """
        if not vectors:
            return []
        scores, rows = self.vectors.search(np.stack(vectors), self.top_k)
        return [
            [
                SearchResult(**json.loads(self.entries[row]), score=min(score, 1.0))
                # Unused places have the row -1 and the lowest number for a score.
                for score, row in zip(*found, strict=True)
                if score > 0 and score >= self.floor and text.strip()
            ]
            for text, *found in zip(texts, scores.tolist(), rows.tolist(), strict=True)
        ]


def open_index(folder: str | os.PathLike[str]) -> FaissIndex:
    """Read an index into memory.

    Args:
        folder: The version FOLDER/NAME/N that `tfpipe.index` wrote of a table too large for a
            graph, or a copy of the folder assets.extra/faiss in it.

    Raises:
        InvalidRequest: There is no index, it is damaged, or faiss is not installed.
    """
    places = (Path(folder) / INSIDE, Path(folder))
    place = next((place for place in places if (place / SETTINGS).is_file()), None)
    if place is None:
        raise InvalidRequest(
            f"{folder} has no faiss index: neither {INSIDE / SETTINGS} nor {SETTINGS} is there. "
            "Give the version FOLDER/NAME/N that `python -m tfpipe.index` wrote, or a copy of the "
            f"folder {INSIDE} in it."
        )
    try:
        import faiss
    except ImportError:
        raise InvalidRequest(
            f"Searching the index of {folder} needs the package faiss, which cannot be imported. "
            "Install it with `pip install faiss-cpu`."
        ) from None
    try:
        return _read(place, faiss)
    except (OSError, ValueError, LookupError, TypeError, RuntimeError) as error:
        reason = str(error).partition("\n")[0]
        raise InvalidRequest(
            f"The index of {folder} is damaged: {reason}. Copy it again, or make it again."
        ) from None


def _read(place: Path, faiss: Any) -> FaissIndex:
    settings = json.loads((place / SETTINGS).read_bytes())
    # Line breaks within JSON strings are escaped.
    entries = (place / ENTRIES).read_bytes().splitlines()
    vectors = faiss.read_index(str(place / VECTORS))
    probe, probe_vector = settings["probe"], np.array(settings["probe_vector"], np.float32)
    if not vectors.ntotal == len(entries) == settings["entries"]:
        found = f"{vectors.ntotal:,} vectors, {len(entries):,} entries"
        raise ValueError(f"{found}, and {settings['entries']:,} were written")
    top_k, floor = int(settings["top_k"]), float(settings["floor"])
    return FaissIndex(place, top_k, floor, str(probe), probe_vector, vectors, entries)
