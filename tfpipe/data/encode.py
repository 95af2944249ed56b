"""Texts to token ids, once: through the one tokenizer, kept on disk by content."""

from __future__ import annotations

import hashlib
import os
import zipfile
from array import array
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfpipe.data.read import Examples
from tfpipe.data.tokenizer import Tokenizer
from tfpipe.files import cache_folder

CHUNK = 1024
CACHE_FILES = 32


@dataclass(frozen=True)
class Encoded:
    """Token ids of N inputs, end to end.

    ids: int32 [T]; token_types: uint8 [T]; splits: int64 [N + 1], input i is
    ids[splits[i]:splits[i + 1]]; full_lengths: int32 [N], tokens with specials before truncation.
    """

    ids: np.ndarray
    token_types: np.ndarray
    splits: np.ndarray
    full_lengths: np.ndarray

    def __len__(self) -> int:
        return len(self.full_lengths)

    @property
    def lengths(self) -> np.ndarray:
        """int64 [N]: tokens with specials after truncation."""
        return np.diff(self.splits)


@dataclass(frozen=True)
class Labelled:
    """Examples, their token ids, and int32 [N] columns of their labels."""

    examples: Examples
    encoded: Encoded
    gold: np.ndarray


def encode(examples: Examples, tokenizer: Tokenizer, max_length: int) -> Encoded:
    """Token ids of the examples, read from the cache when the same texts were encoded before.

    The cache is the folder TFPIPE_CACHE, by default ~/.cache/tfpipe; where it cannot be written,
    nothing is kept.
    """
    path = cache_folder() / f"{_content_hash(examples, tokenizer, max_length)}.npz"
    try:
        with np.load(path) as stored:
            return Encoded(**stored)
    except (OSError, TypeError, ValueError, EOFError, RuntimeError, zipfile.BadZipFile):
        # Not there yet, or a file that a killed process or a full disk left damaged.
        encoded = _tokenize(examples, tokenizer, max_length)
    _store(path, encoded)
    return encoded


def _tokenize(examples: Examples, tokenizer: Tokenizer, max_length: int) -> Encoded:
    columns = [examples.texts]
    if examples.text_pairs is not None:
        columns.append(examples.text_pairs)
    specials = len(columns) + 1
    # They grow in place: a list of small arrays would need the memory twice.
    ids, token_types, lengths, full_lengths = array("i"), array("B"), array("q"), array("i")
    for start in range(0, len(examples), CHUNK):
        # Called eagerly, the tokenizer keeps its graphs: they are built once, not once a file.
        chunk = [list(column[start : start + CHUNK]) for column in columns]
        tensors = tokenizer(chunk[0], chunk[1] if chunk[1:] else None, max_length)
        batch = {name: tensor.numpy() for name, tensor in tensors.items()}
        kept = batch["attention_mask"].astype(bool)
        tokens = kept.sum(axis=1)
        full = tokens.astype(np.int32)
        # Only an input that fills its room may have been longer.
        filled = np.flatnonzero(tokens == max_length)
        if len(filled):
            whole = [tokenizer.tokenize([texts[row] for row in filled]) for texts in chunk]
            full[filled] = specials + sum(ragged.row_lengths().numpy() for ragged in whole)
        ids.frombytes(batch["input_ids"][kept].tobytes())
        token_types.frombytes(batch["token_type_ids"][kept].astype(np.uint8).tobytes())
        lengths.frombytes(tokens.tobytes())
        full_lengths.frombytes(full.tobytes())
    splits = np.concatenate([[0], np.cumsum(np.frombuffer(lengths, np.int64))])
    return Encoded(
        np.frombuffer(ids, np.int32),
        np.frombuffer(token_types, np.uint8),
        splits,
        np.frombuffer(full_lengths, np.int32),
    )


def _content_hash(examples: Examples, tokenizer: Tokenizer, max_length: int) -> str:
    columns: list[Iterable[str]] = [examples.texts]
    if examples.text_pairs is not None:
        columns.append(examples.text_pairs)
    return hash_texts([tokenizer.fingerprint, str(max_length)], *columns)


def hash_texts(*columns: Iterable[str]) -> str:
    """SHA-256 (hex) over columns of texts; no two different tables of texts run together."""
    digest = hashlib.sha256()
    for column in columns:
        for text in column:
            content = text.encode("utf-8", "surrogatepass")
            digest.update(len(content).to_bytes(8, "little") + content)
        digest.update(b"\xff" * 8)
    return digest.hexdigest()


def _store(path: Path, encoded: Encoded) -> None:
    aside = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with aside.open("wb") as file:
            np.savez(file, **vars(encoded))
        aside.replace(path)
        _remove_oldest(path.parent)
    except OSError:
        # A cache that cannot be written costs time only: no space, no right, no home.
        with suppress(OSError):
            aside.unlink()


def _remove_oldest(folder: Path) -> None:
    files: Sequence[Path] = sorted(folder.glob("*.npz"), key=lambda f: f.stat().st_mtime)
    for file in files[:-CACHE_FILES]:
        file.unlink(missing_ok=True)
