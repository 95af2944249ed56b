"""The tokenizer's files: what transformers writes is read, and what is written it reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer, BertTokenizerFast

from tests import fuzz_tokenizer as fuzz
from tfpipe.data.tokenizer import Tokenizer, WordPiece
from tfpipe.errors import UserError


@pytest.fixture(scope="module")
def toy() -> Tokenizer:
    return Tokenizer(WordPiece(fuzz.TOY))


@pytest.mark.parametrize(
    ("vocabulary", "rules"),
    [
        (fuzz.TOY, (True, None, True)),
        ([t for t in fuzz.TOY if t != "[MASK]"], (False, None, True)),
        ([*fuzz.TOY, "is"], (True, False, False)),
    ],
)
def test_transformers_loads_what_is_saved(tmp_path, vocabulary, rules):
    tokenizer = Tokenizer(WordPiece(vocabulary, *rules))
    tokenizer.save(tmp_path)
    reference, found = (
        loader.from_pretrained(tmp_path) for loader in (BertTokenizerFast, AutoTokenizer)
    )
    assert isinstance(found, BertTokenizerFast)
    assert found.backend_tokenizer.to_str() == reference.backend_tokenizer.to_str()
    fuzz.assert_equal(tokenizer, found, [*fuzz.TEXTS, "NAÏVE 中x İs", "is [UNK]"])
    assert Tokenizer.from_folder(tmp_path).fingerprint == tokenizer.fingerprint
    # Older readers know nothing of tokenizer.json.
    (tmp_path / "tokenizer.json").unlink()
    fuzz.assert_equal(tokenizer, BertTokenizerFast.from_pretrained(tmp_path), fuzz.TEXTS)


def test_a_folder_with_tokenizer_json_alone_is_read(tmp_path, toy):
    cased = Tokenizer(WordPiece(fuzz.TOY, lower_case=False))
    cased.save(tmp_path)
    (tmp_path / "vocab.txt").unlink()
    assert Tokenizer.from_folder(tmp_path).fingerprint == cased.fingerprint
    (tmp_path / "tokenizer_config.json").unlink()
    assert Tokenizer.from_folder(tmp_path).fingerprint == cased.fingerprint
    assert (
        cased.fingerprint
        != toy.fingerprint
        != Tokenizer(WordPiece([*fuzz.TOY, "more"])).fingerprint
    )


def test_vocabulary_lines_end_at_line_feeds_only(tmp_path):
    vocabulary = [*fuzz.SPECIAL, "is", "a\u2028b", "\x85", "my ", "", "is", "##x"]
    (tmp_path / "vocab.txt").write_bytes("\n".join(vocabulary).encode())
    tokenizer = Tokenizer.from_folder(tmp_path)
    assert tokenizer.vocabulary == vocabulary
    assert tokenizer.tokenize(["isx my"]).to_list() == [[10, 11, tokenizer.unk_id]]


def edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    ("file", "changes", "found"),
    [
        ("tokenizer_config.json", {"tokenizer_class": "RobertaTokenizer"}, "RobertaTokenizer"),
        ("tokenizer_config.json", {"cls_token": "<s>"}, "<s>"),
        ("tokenizer.json", {"model": {"type": "BPE"}}, "BPE"),
        ("tokenizer.json", {"normalizer": {"type": "NFC"}}, "NFC"),
        ("tokenizer.json", {"pre_tokenizer": None}, "None"),
        ("tokenizer.json", {"added_tokens": [{"content": "newword"}]}, "newword"),
    ],
)
def test_a_tokenizer_that_is_not_berts_is_refused(tmp_path, toy, file, changes, found):
    toy.save(tmp_path)
    edit(tmp_path / file, **changes)
    with pytest.raises(UserError) as error:
        Tokenizer.from_folder(tmp_path)
    assert found in error.value.found


@pytest.mark.parametrize("changes", [{"do_lower_case": False}, {"strip_accents": False}])
def test_the_configuration_wins_over_tokenizer_json(tmp_path, toy, changes):
    """Hub models disagree with themselves here; BertTokenizerFast goes by the configuration."""
    toy.save(tmp_path)
    edit(tmp_path / "tokenizer_config.json", **changes)
    texts = ["Hello WORLD é É", "un Café"]
    theirs = BertTokenizerFast.from_pretrained(tmp_path)(texts, padding=True)
    ours = Tokenizer.from_folder(tmp_path)(texts)
    assert ours["input_ids"].numpy().tolist() == theirs["input_ids"]


def test_a_broken_folder_is_refused(tmp_path, toy):
    with pytest.raises(UserError, match="no vocabulary"):
        Tokenizer.from_folder(tmp_path)
    toy.save(tmp_path)
    (tmp_path / "vocab.txt").write_text("\n".join(fuzz.TOY[::-1]))
    with pytest.raises(UserError, match="contradict"):
        Tokenizer.from_folder(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(UserError, match="JSON"):
        Tokenizer.from_folder(tmp_path)
    with pytest.raises(UserError, match=r"\[CLS\], \[SEP\]"):
        Tokenizer(WordPiece(["[PAD]", "[UNK]"]))
    with pytest.raises(UserError, match="line break"):
        Tokenizer(WordPiece([*fuzz.TOY, "a\nb"]))
