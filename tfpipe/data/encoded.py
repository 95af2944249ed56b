"""Encoded data sets: token ids of all inputs, cached on disk by content."""

from __future__ import annotations

import os
import zipfile
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import numpy as np

from tfpipe.data.arrays import AnyArray, Int32Array, Int64Array, UInt8Array
from tfpipe.data.examples import Examples
from tfpipe.data.hashing import hash_texts
from tfpipe.data.tokenizer import Tokenizer
from tfpipe.locations import cache_folder

CHUNK = 1024
CACHE_FILES = 32


@dataclass(frozen=True)
class Encoded:
    """Token ids of N inputs, end to end.

    Attributes:
        ids: int32 [T].
        token_types: uint8 [T].
        splits: int64 [N + 1], input i is ids[splits[i]:splits[i + 1]].
        full_lengths: int32 [N], tokens with specials before truncation.
        pad: The id that fills the inputs of a batch up to one length.
    """

    ids: Int32Array
    token_types: UInt8Array
    splits: Int64Array
    full_lengths: Int32Array
    pad: int

    def __len__(self) -> int:
        return len(self.full_lengths)

    @property
    def lengths(self) -> Int64Array:
        """int64 [N]: tokens with specials after truncation."""
        return np.diff(self.splits)

    def distinct(self) -> tuple[Encoded, Int64Array]:
        """Return the inputs without repeats, and the place among them of each input, int64 [N]."""
        first: dict[bytes, int] = {}
        places = np.empty(len(self), np.int64)
        rows: list[int] = []
        for row, (start, end) in enumerate(zip(self.splits, self.splits[1:], strict=False)):
            key = self.ids[start:end].tobytes() + self.token_types[start:end].tobytes()
            places[row] = first.setdefault(key, len(first))
            if len(first) > len(rows):
                rows.append(row)
        if len(rows) == len(self):
            return self, places
        kept = np.isin(np.arange(len(self)), rows)
        in_kept = np.repeat(kept, self.lengths)
        splits = np.concatenate([[0], np.cumsum(self.lengths[kept])])
        ids, types = self.ids[in_kept], self.token_types[in_kept]
        return Encoded(ids, types, splits, self.full_lengths[kept], self.pad), places


E = TypeVar("E", bound=Encoded)
# input_ids, token_type_ids, attention_mask int32 [inputs, L], and full_lengths int32 [inputs].
Chunk: TypeAlias = tuple[Mapping[str, Any], Int32Array]


@dataclass(frozen=True)
class EncodedDataset:
    """Examples, the token ids of their inputs, and the targets of each input.

    Attributes:
        examples: N examples.
        encoded: Of their inputs, one or more an example.
        targets: Columns [inputs, ...] by name, which become part of each batch; the task defines
            them.
    """

    examples: Examples
    encoded: Encoded
    targets: Mapping[str, AnyArray]

    @property
    def together(self) -> int:
        """Inputs that follow each other and must be in one batch, such as two texts to compare."""
        return 1

    @property
    def groups(self) -> int:
        """Number of groups of `together` inputs, of which batches are made."""
        return len(self.encoded) // self.together

    @property
    def example_of(self) -> Int64Array:
        """The example that each input is of, in order: int [inputs]."""
        return np.arange(len(self.encoded))

    @property
    def full_lengths(self) -> Int32Array:
        """int32 [N]: tokens of each example with specials, before anything is cut off."""
        return self.encoded.full_lengths


def encode(examples: Examples, tokenizer: Tokenizer, max_length: int) -> Encoded:
    """Encode the examples, or read them from the cache when the same texts were encoded before."""
    key = hash_inputs(examples, tokenizer, max_length)

    def make() -> Encoded:
        return flatten(_tokenize(examples, tokenizer, max_length), tokenizer.frame.pad)

    return keep(key, Encoded, make)


def keep(key: str, kind: type[E], make: Callable[[], E]) -> E:
    """Read what was made before under this key from the cache, or make and store it now.

    The cache is `cache_folder()`; where it cannot be written, nothing is stored.
    """
    path = cache_folder() / f"{key}.npz"
    try:
        with np.load(path) as stored:
            return kind(**{n: x if x.ndim else x.item() for n, x in stored.items()})
    except (OSError, TypeError, ValueError, EOFError, RuntimeError, zipfile.BadZipFile):
        # Not there yet, or a file that a killed process or a full disk left damaged.
        encoded = make()
    _store(path, encoded)
    return encoded


def _tokenize(examples: Examples, tokenizer: Tokenizer, max_length: int) -> Iterator[Chunk]:
    columns = [examples.texts]
    if examples.text_pairs is not None:
        columns.append(examples.text_pairs)
    frame = tokenizer.frame
    specials = frame.pair_specials if columns[1:] else frame.text_specials
    for start in range(0, len(examples), CHUNK):
        # Called eagerly, the tokenizer keeps its graphs: they are built once, not once a file.
        chunk = [list(column[start : start + CHUNK]) for column in columns]
        inputs = tokenizer(chunk[0], chunk[1] if chunk[1:] else None, max_length)
        full = inputs["attention_mask"].numpy().sum(axis=1, dtype=np.int32)
        # Only an input of `max_length` tokens may have been longer.
        filled = np.flatnonzero(full == max_length)
        if len(filled):
            whole = [tokenizer.tokenize([texts[row] for row in filled]) for texts in chunk]
            full[filled] = specials + sum(ragged.row_lengths().numpy() for ragged in whole)
        yield inputs, full


def flatten(chunks: Iterable[Chunk], pad: int) -> Encoded:
    """Concatenate the inputs of all chunks without padding."""
    # They grow in place: a list of small arrays would need the memory twice.
    ids, token_types, lengths, full_lengths = array("i"), array("B"), array("q"), array("i")
    for inputs, full in chunks:
        batch = {name: tensor.numpy() for name, tensor in inputs.items()}
        kept = batch["attention_mask"].astype(bool)
        ids.frombytes(batch["input_ids"][kept].tobytes())
        token_types.frombytes(batch["token_type_ids"][kept].astype(np.uint8).tobytes())
        lengths.frombytes(kept.sum(axis=1, dtype=np.int64).tobytes())
        full_lengths.frombytes(full.astype(np.int32).tobytes())
    splits = np.concatenate([[0], np.cumsum(np.frombuffer(lengths, np.int64))])
    return Encoded(
        np.frombuffer(ids, np.int32),
        np.frombuffer(token_types, np.uint8),
        splits,
        np.frombuffer(full_lengths, np.int32),
        pad,
    )


def hash_inputs(examples: Examples, tokenizer: Tokenizer, max_length: int, *ways: str) -> str:
    """Return the SHA-256 (hex) over all that determines ids.

    Args:
        examples: Their texts.
        tokenizer: Its fingerprint.
        max_length: Tokens of an input.
        *ways: What else determines ids, such as how long texts are read.
    """
    columns: list[Iterable[str]] = [examples.texts]
    if examples.text_pairs is not None:
        columns.append(examples.text_pairs)
    return hash_texts([tokenizer.fingerprint, str(max_length), *ways], *columns)


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
