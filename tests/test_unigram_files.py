"""XLM-R's tokenizer: what transformers writes is read, and what is written it reads."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer
from transformers import AutoTokenizer, XLMRobertaTokenizerFast
from transformers.convert_slow_tokenizer import XLMRobertaConverter, import_protobuf

from tests.support.unigram import CHARSMAP, PIECES, SPECIAL, TEXTS, toy_vocabulary
from tfpipe.data.tokenizer import files
from tfpipe.data.tokenizer.fast_tokenizer import FastTokenizer
from tfpipe.data.tokenizer.reference import load_reference
from tfpipe.data.tokenizer.unigram import sentencepiece_model
from tfpipe.data.tokenizer.unigram.charsmap import build
from tfpipe.data.tokenizer.unigram.folder import has_unigram, read_folder, write_folder
from tfpipe.data.tokenizer.unigram.scores import read_number
from tfpipe.errors import UserError

Json = dict[str, Any]
STRIP = {"type": "Strip", "strip_left": False, "strip_right": True}
MERGE = {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}
MARK = {**MERGE, "content": "\u2581"}
SPLIT = {"type": "WhitespaceSplit"}
META = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": True}
OLD_META = {"type": "Metaspace", "replacement": "\u2581", "add_prefix_space": True}


def assert_same(one, other):
    assert one.pieces == other.pieces and one.scores.tolist() == other.scores.tolist()
    assert one.special_ids == other.special_ids and one.frame == other.frame
    assert (one.unk_id, one.mask_id) == (other.unk_id, other.mask_id)
    assert one.charsmap == other.charsmap and one.trailing_space == other.trailing_space


@pytest.mark.parametrize(
    ("before", "behind", "trailing_space"),
    [
        (SPECIAL, ["<mask>"], False),
        (SPECIAL, [], False),
        (["<mask>", "<unk>", "</s>"], ["<s>", "<pad>"], True),
    ],
)
def test_transformers_loads_what_is_written(tmp_path, before, behind, trailing_space):
    write_folder(tmp_path, toy_vocabulary(before, behind, trailing_space=trailing_space))
    vocabulary = read_folder(tmp_path)
    assert_same(vocabulary, read_folder(tmp_path))
    write_folder(tmp_path / "again", vocabulary)
    assert_same(vocabulary, read_folder(tmp_path / "again"))
    assert has_unigram(tmp_path)

    ours = FastTokenizer.from_folder(tmp_path).tokenize(TEXTS, offsets=True)
    for loader in (AutoTokenizer, XLMRobertaTokenizerFast):
        theirs = loader.from_pretrained(tmp_path)
        assert isinstance(theirs, XLMRobertaTokenizerFast) and theirs.split_special_tokens
        assert theirs.convert_tokens_to_ids(vocabulary.pieces) == [*range(len(theirs))]
        assert (theirs.pad_token_id, theirs.unk_token_id, theirs.mask_token_id) == (
            vocabulary.pad_id,
            vocabulary.unk_id,
            vocabulary.mask_id,
        )
        # Where no text spells a special token, transformers' own is equal too.
        plain = [i for i, text in enumerate(TEXTS) if "<" not in text]
        for i in plain:
            ids = ours.ids[slice(*ours.splits[i : i + 2])].tolist()
            assert theirs(TEXTS[i], add_special_tokens=False)["input_ids"] == ids
    expected = load_reference(tmp_path)(
        TEXTS, add_special_tokens=False, return_offsets_mapping=True
    )
    assert ours.ids.tolist() == sum(expected["input_ids"], [])
    assert list(zip(ours.starts.tolist(), ours.ends.tolist(), strict=True)) == sum(
        expected["offset_mapping"], []
    )
    special = set(vocabulary.special_ids) - {vocabulary.unk_id}
    assert not special & set(ours.ids.tolist())


def test_frame_is_that_of_transformers(tmp_path):
    write_folder(tmp_path, toy_vocabulary())
    inputs = load_reference(tmp_path)("a", "the", return_token_type_ids=True)
    frame = read_folder(tmp_path).frame
    a, the = (len(SPECIAL) + PIECES.index(piece) for piece in ("\u2581a", "\u2581the"))
    expected = [frame.cls, a, *[frame.sep] * frame.separators, the, frame.sep]
    assert inputs["input_ids"] == expected
    assert inputs["token_type_ids"] == [frame.second_type] * len(expected)


def edit(folder: Path, change: Callable[[Json], None]) -> None:
    path = folder / "tokenizer.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content), encoding="utf-8")


def set_spaces(steps: list[Json], words: list[Json]) -> Callable[[Json], None]:
    def change(content: Json) -> None:
        first = content["normalizer"]["normalizers"][0]
        content["normalizer"] = {"type": "Sequence", "normalizers": [first, *steps]}
        content["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": words}
        if not steps:
            content["normalizer"] = first
        if len(words) == 1:
            content["pre_tokenizer"] = words[0]

    return change


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ([], [SPLIT, META]),
        ([], [SPLIT, OLD_META]),
        ([STRIP, MARK], [SPLIT, META]),
        ([MERGE], [SPLIT, META]),
        ([STRIP, MARK], [META]),
        ([STRIP, MERGE], [OLD_META]),
        ([MERGE, STRIP], [META]),
        ([MERGE], [META]),
        ([MARK], [OLD_META]),
    ],
)
def test_forms_of_the_same_tokenizer_have_the_same_ids(tmp_path, steps, words):
    write_folder(tmp_path, toy_vocabulary())
    edit(tmp_path, set_spaces(steps, words))
    tokens = FastTokenizer.from_folder(tmp_path).tokenize(TEXTS)
    theirs = XLMRobertaTokenizerFast.from_pretrained(tmp_path)
    for i, text in enumerate(TEXTS):
        if "<" not in text:
            ids = tokens.ids[slice(*tokens.splits[i : i + 2])].tolist()
            assert theirs(text, add_special_tokens=False)["input_ids"] == ids, text


def test_folder_of_any_fast_tokenizer_is_read(tmp_path):
    write_folder(tmp_path, toy_vocabulary())
    expected = read_folder(tmp_path)
    (tmp_path / "special_tokens_map.json").unlink()
    (tmp_path / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", "mask_token": "<mask>"})
    )
    assert has_unigram(tmp_path)
    assert_same(read_folder(tmp_path), expected)
    (tmp_path / "tokenizer_config.json").unlink()
    assert has_unigram(tmp_path)
    assert_same(read_folder(tmp_path), expected)


def put(*keys: str | int, value: Any) -> Callable[[Json], None]:
    def change(content: Json) -> None:
        for key in keys[:-1]:
            content = content[key]
        content[keys[-1]] = value

    return change


NFKC = {"type": "NFKC"}
ADDED = {"id": 99, "content": "<new>", "special": False}
FAULTS = [
    (put("model", "type", value="BPE"), "model type 'BPE'"),
    (put("model", "byte_fallback", value=True), "byte_fallback True"),
    (put("model", "unk_id", value=None), "unk_id None"),
    (put("model", "vocab", value={"a": 1}), "another structure"),
    (put("model", "vocab", 5, value=["a", float("nan")]), "a score that is no number, of 'a'"),
    (put("model", "vocab", 5, value=["", 0]), "a piece without characters, id 5"),
    (put("model", "vocab", 5, value=["b", 0]), "the piece 'b' 2 times"),
    (put("model", "vocab", 5, value=["\ud800", 0]), "half a character"),
    (put("model", "vocab", 1, value=["[PAD]", 0]), "no piece '<pad>'"),
    (put("normalizer", value=None), "normalizer None"),
    (put("normalizer", value=NFKC), "normalizer 'NFKC'"),
    (put("normalizer", "normalizers", 0, "precompiled_charsmap", value="?"), "charsmap in"),
    (put("normalizer", "normalizers", 0, "precompiled_charsmap", value=None), "charsmap in"),
    (put("normalizer", "normalizers", 0, "precompiled_charsmap", value="AAAA"), "3 bytes"),
    (set_spaces([{"type": "Lowercase"}], [META]), '{"type": "Lowercase"}'),
    (set_spaces([MARK], [SPLIT, META]), "neither split at nor merged"),
    (set_spaces([], [META]), "neither split at nor merged"),
    (set_spaces([], [SPLIT]), "pre-tokenizers ['WhitespaceSplit']"),
    (set_spaces([], [SPLIT, {**META, "prepend_scheme": "first"}]), '"first"'),
    (set_spaces([], [SPLIT, {**OLD_META, "add_prefix_space": False}]), "add_prefix_space"),
    (set_spaces([], [SPLIT, {**META, "split": False}]), '"split": false'),
    (set_spaces([], [SPLIT, {**META, "replacement": "_"}]), '"_"'),
    (put("post_processor", value={"type": "RobertaProcessing"}), "'RobertaProcessing'"),
    (put("post_processor", value=None), "another structure"),
    (put("post_processor", "pair", 3, "SpecialToken", "type_id", value=1), "template [{"),
    (put("post_processor", "special_tokens", "<s>", "ids", value=[7]), "'<s>' of another id"),
    (put("added_tokens", value=[ADDED]), "<new>"),
    (put("added_tokens", 0, "id", value=7), "beside the vocabulary: '<s>'"),
]


@pytest.mark.parametrize(("change", "found"), FAULTS)
def test_tokenizer_of_another_kind_is_refused(tmp_path, change, found):
    write_folder(tmp_path, toy_vocabulary())
    edit(tmp_path, change)
    with pytest.raises(UserError) as raised:
        read_folder(tmp_path)
    assert found in raised.value.found and raised.value.fix


def test_normalisation_that_keeps_the_sign_of_a_space_is_refused():
    for charsmap in ({"a": "b"}, {"\u2581": " ", "a": "\u2581"}):
        with pytest.raises(UserError, match=r"does not replace U\+2581"):
            toy_vocabulary(charsmap=charsmap)
    with pytest.raises(UserError, match="1 scores"):
        toy_vocabulary(scores=np.zeros(1))
    with pytest.raises(UserError, match=r"ids \[0, 0, 1, 3"):
        toy_vocabulary(sep_id=0)


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        ("tokenizer.json", "{", "Expecting property name"),
        ("tokenizer.json", "[" * 100_000, "recursion"),
        ("tokenizer.json", "[]", "list"),
        ("tokenizer_config.json", '{"tokenizer_class": "BartTokenizer"}', "BartTokenizer"),
        ("tokenizer_config.json", '{"pad_token": "[PAD]"}', "[PAD]"),
        ("tokenizer_config.json", '{"pad_token": {"content": "[P]"}}', "[P]"),
        ("sentencepiece.bpe.model", "\xff", "sentencepiece.bpe.model is damaged"),
        ("sentencepiece.bpe.model", "", "first pieces []"),
    ],
)
def test_damaged_or_strange_file_is_refused(tmp_path, name, content, found):
    write_folder(tmp_path, toy_vocabulary())
    (tmp_path / name).write_bytes(content.encode("latin-1"))
    with pytest.raises(UserError) as raised:
        read_folder(tmp_path)
    assert found in raised.value.found


def test_file_that_is_too_large_is_refused(tmp_path, monkeypatch):
    write_folder(tmp_path, toy_vocabulary())
    monkeypatch.setattr(files, "MOST_BYTES", 1000)
    with pytest.raises(UserError, match="too large") as raised:
        read_folder(tmp_path)
    assert "at most 1,000" in raised.value.found


def test_folder_without_a_vocabulary_is_refused(tmp_path):
    with pytest.raises(UserError, match="no vocabulary"):
        read_folder(tmp_path)
    assert not has_unigram(tmp_path)


def write_model(path: Path, change: Callable[[Any], None] = lambda model: None) -> None:
    """Write the toy vocabulary as SentencePiece has it: other special pieces, and no mask."""
    messages = import_protobuf()
    model = messages.ModelProto()
    vocabulary = toy_vocabulary()
    for i, piece in enumerate(["<unk>", "<s>", "</s>", *PIECES]):
        score = vocabulary.scores[i + 1] if i > 2 else 0.0
        model.pieces.add(piece=piece, score=score, type=[2, 3, 3][i] if i < 3 else 1)
    model.normalizer_spec.precompiled_charsmap = build(CHARSMAP)
    change(model)
    path.write_bytes(model.SerializeToString())


def test_model_of_sentencepiece_is_read_as_transformers_converts_it(tmp_path):
    path = tmp_path / sentencepiece_model.NAME
    write_model(path)
    ids = {piece: i for i, piece in enumerate(toy_vocabulary().pieces)}
    slow = SimpleNamespace(vocab_file=str(path), convert_tokens_to_ids=ids.get)
    theirs = XLMRobertaConverter(slow).converted()
    assert has_unigram(tmp_path)
    ours = read_folder(tmp_path)
    assert ours.pieces == toy_vocabulary().pieces
    tokens = FastTokenizer.from_folder(tmp_path).tokenize(TEXTS)
    for i, text in enumerate(TEXTS):
        if "<" not in text:
            found = tokens.ids[slice(*tokens.splits[i : i + 2])].tolist()
            assert theirs.encode(text, add_special_tokens=False).ids == found
    # Saved and loaded, the scores of transformers are ours to the last bit.
    saved = json.loads(Tokenizer.from_str(theirs.to_str()).to_str())["model"]["vocab"]
    assert [score for _, score in saved] == ours.scores.tolist()
    write_folder(tmp_path, ours)
    assert_same(read_folder(tmp_path), ours)


def test_model_of_sentencepiece_that_contradicts_is_refused(tmp_path):
    write_folder(tmp_path, toy_vocabulary())
    write_model(tmp_path / sentencepiece_model.NAME, lambda model: model.pieces.add(piece="more"))
    with pytest.raises(UserError, match="contradict") as raised:
        read_folder(tmp_path)
    assert raised.value.found.startswith("1 pieces differ")


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda m: setattr(m.trainer_spec, "model_type", 2), "model type 2"),
        (lambda m: setattr(m.trainer_spec, "byte_fallback", True), "byte_fallback True"),
        (lambda m: setattr(m.normalizer_spec, "add_dummy_prefix", False), "add_dummy_prefix False"),
        (lambda m: setattr(m.pieces[0], "piece", "<pad>"), "first pieces ['<pad>'"),
        (lambda m: setattr(m.pieces[9], "type", 4), "types of the other pieces [4]"),
        (lambda m: m.pieces.add(piece="a"), "the piece 'a' 2 times"),
        (lambda m: m.ClearField("normalizer_spec"), "0 bytes"),
    ],
)
def test_model_of_sentencepiece_of_another_kind_is_refused(tmp_path, change, found):
    write_model(tmp_path / sentencepiece_model.NAME, change)
    with pytest.raises(UserError) as raised:
        read_folder(tmp_path)
    assert found in raised.value.found


def test_numbers_are_read_as_tokenizers_reads_them():
    rng = random.Random(1)
    values = [-rng.random() * 10 ** rng.randrange(-4, 4) for _ in range(2000)]
    single = [struct.unpack("f", struct.pack("f", value))[0] for value in values]
    texts = [*map(repr, [*values, *single]), "-20364751815795898e-15", "1E+2", "-0.0", "1e-7"]
    entries = ", ".join(f'["{i}", {text}]' for i, text in enumerate(texts))
    content = (
        f'{{"version": "1.0", "model": {{"type": "Unigram", "unk_id": 0, "vocab": [{entries}]}}}}'
    )
    read = json.loads(Tokenizer.from_str(content).to_str())["model"]["vocab"]
    assert [read_number(text) for text in texts] == [score for _, score in read]
    assert sum(read_number(repr(value)) != value for value in values) > 100
    again = [read_number(repr(score)) for _, score in read]
    assert again == [score for _, score in read]
    assert read_number("1e-320") == 1e-320
