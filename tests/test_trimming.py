"""A trimmed vocabulary divides texts of the scripts it keeps as the whole one does."""

from __future__ import annotations

import random

import numpy as np
import pytest

from tests.support.unigram import CHARSMAP, toy_vocabulary
from tfpipe.data.tokenizer.fast_tokenizer import FastTokenizer
from tfpipe.data.tokenizer.kept_letters import find_letters
from tfpipe.data.tokenizer.trimming import trim_folder
from tfpipe.data.tokenizer.unigram.folder import read_folder, write_folder
from tfpipe.data.tokenizer.unigram.trimming import keep_scripts, trim
from tfpipe.data.tokenizer.unigram.vocabulary import UnigramVocabulary
from tfpipe.data.tokenizer.wordpiece import vocabulary as wordpiece
from tfpipe.exporting.fuzz_strings import SPECIAL

LETTERS = "abcdeéèд中国あ1,"
RUNS = [
    "ab",
    "cde",
    "aé",
    "éè",
    "дд",
    "中国",
    "中1",
    "あ中",
    "1,",
    "\u2581a",
    "\u2581éa",
    "\u2581д",
    "ё",
]
LOWEST = "дa"
CHARS = {**CHARSMAP, "Ａ": "a", "Ё": "ё", "Е\u0308": "ё"}


def vocabulary(seed: int = 1) -> UnigramVocabulary:
    rng = random.Random(seed)
    pieces = ["<unk>", "<s>", "<pad>", "\u2581", *LETTERS, *RUNS, LOWEST, "</s>", "<mask>"]
    # Equal scores make equally good divisions.
    scores = [rng.choice([-1.5, -2.25, -3.1]) * len(piece) for piece in pieces]
    scores[pieces.index(LOWEST)] = -30.0
    ids = {
        name: pieces.index(token)
        for name, token in [("cls_id", "<s>"), ("sep_id", "</s>"), ("pad_id", "<pad>")]
    }
    special = {"unk_id": 0, "mask_id": len(pieces) - 1, **ids}
    return toy_vocabulary(pieces=pieces, scores=np.array(scores), charsmap=CHARS, **special)


def kept_of(*texts: str) -> tuple[set[str], list[str]]:
    whole = vocabulary()
    ids, scripts, count = keep_scripts(whole, texts)
    assert count == len(whole.pieces)
    assert ids.tolist() == sorted(set(ids.tolist()))
    lost = set(whole.pieces) - {whole.pieces[i] for i in ids}
    assert LOWEST not in lost and "ё" not in lost
    return lost, scripts


def test_pieces_of_the_scripts_of_the_texts_are_kept():
    foreign = {"дд", "\u2581д"}
    accented = {"aé", "éè", "\u2581éa"}
    kana, han = {"あ中"}, {"中国", "中1"}
    assert kept_of() == (foreign | accented | kana | han, ["latin"])
    assert kept_of("abc", "12 ,.!") == (foreign | accented | kana | han, ["latin"])
    assert kept_of("中 and Ａ") == (foreign | accented | kana, ["han", "latin"])
    assert kept_of("中あ") == (foreign | accented, ["han", "kana", "latin"])
    assert kept_of("Е\u0308") == (accented | kana | han, ["cyrillic", "latin"])
    assert kept_of("É", "è")[1] == ["latin", "accented Latin"]
    assert kept_of("É", "è")[0] == foreign | kana | han


def test_accented_letters_are_kept_one_by_one_where_few_texts_have_them():
    assert kept_of("É", *["a"] * 20)[0] == {"дд", "\u2581д", "あ中", "中国", "中1", "éè"}


def test_script_of_fewer_than_a_thousandth_of_the_texts_is_left_out():
    assert kept_of("д", "é", *["a"] * 998)[1] == ["cyrillic", "latin"]
    lost, scripts = kept_of("д", "é", *["a"] * 999)
    assert scripts == ["latin"] and {"дд", "aé"} <= lost
    assert find_letters(["é", *["a"] * 998]).single.tolist() == [ord("É"), ord("é")]


@pytest.mark.parametrize("seed", range(5))
def test_texts_of_these_scripts_are_divided_as_before(seed, tmp_path):
    rng = random.Random(seed)
    alphabet = "abcde中国 1,Ａ\u0316龍!\t"
    whole = vocabulary(seed)
    ids = keep_scripts(whole, [alphabet]).ids
    assert len(ids) < len(whole.pieces)
    write_folder(tmp_path, trim(whole, ids))
    trimmed = read_folder(tmp_path)
    texts = ["".join(rng.choices(alphabet, k=rng.randrange(30))) for _ in range(2000)]
    before = FastTokenizer.of_pieces(whole).tokenize(texts, offsets=True)
    after = FastTokenizer.of_pieces(trimmed).tokenize(texts, offsets=True)
    assert ids[after.ids].tolist() == before.ids.tolist() and whole.unk_id in before.ids
    for name in ("splits", "starts", "ends"):
        np.testing.assert_array_equal(getattr(after, name), getattr(before, name))
    assert [whole.pieces[i] for i in whole.special_ids] == [
        trimmed.pieces[i] for i in trimmed.special_ids
    ]
    assert (whole.pieces[whole.unk_id], "<mask>") == (
        trimmed.pieces[trimmed.unk_id],
        trimmed.pieces[trimmed.mask_id],
    )


def test_folder_of_either_kind_is_trimmed(tmp_path):
    whole = tmp_path / "whole"
    write_folder(whole, vocabulary())
    kept = trim_folder(whole, tmp_path / "trimmed", ["a 中国"])
    assert kept.ids.tolist() == keep_scripts(vocabulary(), ["a 中国"]).ids.tolist()
    assert "あ中" not in read_folder(tmp_path / "trimmed").pieces

    bert = tmp_path / "bert"
    tokens = [*SPECIAL, "a", "##b", "ab", "##ab", "дд", "##д", "д", "中", "##éa", "あ", "##あい"]
    wordpiece.write_folder(bert, wordpiece.Vocabulary(tokens), wordpiece.Rules(False))
    text = ["Ab 中", "aab"]
    before = FastTokenizer.from_folder(bert).tokenize([*text, "ab\u0301 дд"])
    kept = trim_folder(bert, bert, text)
    assert kept.scripts == ["han", "latin"]
    assert [tokens[i] for i in kept.ids] == [t for t in tokens if t not in ("дд", "##éa", "##あい")]
    after = FastTokenizer.from_folder(bert).tokenize([*text, "дд"])
    known = len(before.ids) - before.lengths[-1]
    assert kept.ids[after.ids][:known].tolist() == before.ids[:known].tolist()
    assert [tokens[i] for i in kept.ids[after.ids][known:]] == ["д", "##д"]
