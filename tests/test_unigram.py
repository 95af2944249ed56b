"""The graph of XLM-R's tokenizer: single points, each with the right value."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tokenizers import Tokenizer as Pipeline
from tokenizers import models, normalizers, pre_tokenizers, trainers

from tests.support import unigram_kinds
from tests.support.unigram import toy_vocabulary
from tfpipe.data.tokenizer import Tokenizer
from tfpipe.data.tokenizer.unigram.charsmap import build
from tfpipe.data.tokenizer.unigram.tokenizer_json import make_pipeline
from tfpipe.data.tokenizer.unigram.unigram import Unigram
from tfpipe.data.tokenizer.unigram.vocabulary import UnigramVocabulary
from tfpipe.exporting.fuzz_strings import strings

Row = list[tuple[str, int, int]]


REPLACED = {"\u2581": " ", "\t": " ", "\r": " ", "\n": " ", "\x01": "", "\x02": "", "ａ": "a"}
REPLACED |= {"e\u0301": "é", "™": "ac", "㎝": "cm", "\u0958": "क\u093c", "\u0340": "\u0300"}


def vocabulary_of(pieces: dict[str, float], **changes: Any) -> UnigramVocabulary:
    """A vocabulary of these pieces with their scores."""
    values: dict[str, Any] = {
        "pieces": ["<s>", "<pad>", "</s>", "<unk>", *pieces],
        "scores": np.array([0.0] * 4 + [*pieces.values()]),
        "charsmap": REPLACED,
    }
    values |= {"cls_id": 0, "pad_id": 1, "sep_id": 2, "unk_id": 3, "mask_id": None}
    return UnigramVocabulary(**(values | changes))


def tokens_of(vocabulary: UnigramVocabulary, texts: Sequence[str]) -> list[Row]:
    """The tokens of each text with their places, by our graph, which must equal the reference."""
    # Without tracing: the graph is used once.
    found = Unigram(vocabulary).tokenize(tf.constant(texts))
    ids, splits, starts, ends = (x.numpy().tolist() for x in found)
    tokens = [*zip(ids, starts, ends, strict=True)]
    rows = [tokens[a:b] for a, b in itertools.pairwise(splits)]
    expected = make_pipeline(vocabulary).encode_batch(texts, add_special_tokens=False)
    assert rows == [
        [(i, *place) for i, place in zip(one.ids, one.offsets, strict=True)] for one in expected
    ]
    return [[(vocabulary.pieces[i], a, b) for i, a, b in row] for row in rows]


LETTERS = {"\u2581": -2.0} | dict.fromkeys("abceé中", -3.0)


def test_best_scored_pieces_are_taken():
    pieces = LETTERS | {"ab": -3.5, "bc": -3.0, "\u2581abc": -7.0}
    assert tokens_of(vocabulary_of(pieces), ["abc abcc"]) == [
        [("\u2581abc", 0, 3), ("\u2581abc", 4, 7), ("c", 7, 8)]
    ]


def test_of_equal_scores_the_longest_last_piece_is_taken():
    pieces = LETTERS | {"ab": -3.0, "bc": -3.0}
    assert tokens_of(vocabulary_of(pieces), ["abc"]) == [
        [("\u2581", 0, 1), ("a", 0, 1), ("bc", 1, 3)]
    ]


def test_scores_are_added_from_the_start_of_a_word():
    # The sums of a path are equal, and differ when they are rounded in another order.
    pieces = LETTERS | {"ab": -0.1, "c": -0.2, "a": -0.3, "bc": -0.2, "ca": -0.1, "b": -0.7}
    tokens_of(
        vocabulary_of(pieces), [*unigram_kinds.chains([*pieces], 300, seed=1)]
    )  # equal to the reference


def test_hostile_strings_are_equal():
    vocabulary = unigram_kinds.vocabulary_of("unigram-ties")
    chains = unigram_kinds.chains(vocabulary.pieces, 1000, seed=3)
    plain = [text for text in strings(1000, seed=3) if isinstance(text, str)]
    tokens_of(vocabulary, [*chains, *plain])


def test_unknown_characters_of_a_word_are_one_token():
    rows = tokens_of(vocabulary_of(LETTERS), ["a龘龘b 龘 龘龘", "\U00020001龘"])
    assert rows == [
        [("\u2581", 0, 1), ("a", 0, 1), ("<unk>", 1, 3), ("b", 3, 4)]
        + [("\u2581", 5, 6), ("<unk>", 5, 6), ("\u2581", 7, 8), ("<unk>", 7, 9)],
        [("\u2581", 0, 1), ("<unk>", 0, 2)],
    ]


def test_unknown_start_of_a_word_belongs_to_the_unknown_token():
    assert tokens_of(vocabulary_of({"a": -1.0}), ["a 龘", "龘a"]) == [
        [("<unk>", 0, 1), ("a", 0, 1), ("<unk>", 2, 3)],
        [("<unk>", 0, 1), ("a", 1, 2)],
    ]


@pytest.mark.parametrize(
    ("text", "row"),
    [
        # A letter with its mark, by the table; a wide letter, whose mark is lost.
        ("e\u0301", [("é", 0, 1)]),
        ("ａ\u0301b", [("a", 0, 1), ("b", 2, 3)]),
        # In a character of 6 bytes or more each code point stands for itself.
        ("e\u0301\u0301\u0301", [("e", 0, 1), ("<unk>", 1, 4)]),
        # A sign in front (Prepend) makes one character with the letter.
        ("\u0600e\u0301", [("<unk>", 0, 1), ("e", 1, 2), ("<unk>", 2, 3)]),
        # Two pictures with a joiner, and two consonants with a virama, are one character.
        ("👩\u200d™\u0301", [("<unk>", 0, 2), ("a", 2, 3), ("c", 2, 3), ("<unk>", 3, 4)]),
        ("™\u0301", [("a", 0, 1), ("c", 1, 2)]),
        # A mark behind a control character is one by itself.
        ("a\x01\u0301b", [("a", 0, 1), ("<unk>", 2, 3), ("b", 3, 4)]),
        # What is removed at the start moves the places, as in `tokenizers`.
        ("\x01\x02abc", [("a", 0, 1), ("b", 1, 2), ("c", 2, 3)]),
        ("a\x01b", [("a", 0, 1), ("b", 2, 3)]),
        # The last of several outcomes takes the place of what is removed behind it.
        ("㎝\x01c", [("c", 0, 1), ("<unk>", 1, 2), ("c", 2, 3)]),
    ],
)
def test_characters_of_several_code_points(text, row):
    (found,) = tokens_of(vocabulary_of(LETTERS), [text])
    assert [one for one in found if one[0] != "\u2581"] == row


def test_indic_conjunct_is_one_character():
    # U+0958 becomes two; joined to the consonant in front it does not take its mark away.
    pieces = LETTERS | {"क": -3.0, "\u093c": -3.0, "\u0301": -3.0}
    alone, joined = tokens_of(vocabulary_of(pieces), ["\u0958\u0301", "क\u094d\u0958\u0301"])
    assert "\u0301" not in [piece for piece, _, _ in alone]
    assert "\u0301" in [piece for piece, _, _ in joined]


def test_invalid_bytes_are_counted_as_python_decodes_them():
    broken = [b"a\xff\xffb", b"\xe4\xb8a", b"\xed\xa0\x80 b", b"\xf0\x9f\x98", b"a\xc3"]
    graph = Unigram(vocabulary_of(LETTERS | {"\ufffd": -4.0}))
    plain = [one.decode("utf-8", "replace") for one in broken]
    for ours, expected in zip(graph.tokenize(broken), graph.tokenize(plain), strict=True):
        assert ours.numpy().tolist() == expected.numpy().tolist()


def test_special_tokens_in_text_are_text():
    rows = tokens_of(toy_vocabulary(), ["<s> a", "</s><unk>", "<pad>a<mask>"])
    assert not {"<s>", "</s>", "<pad>", "<mask>"} & {piece for row in rows for piece, _, _ in row}


def test_white_space_at_the_end_may_be_a_token():
    texts = ["a", "a ", "a  \t", "", " ", "  ", " a b \x01 ", "a \x01", "\r\n", "a\r\n"]
    for trailing in (False, True):
        rows = tokens_of(vocabulary_of(LETTERS, trailing_space=trailing), texts)
        assert rows[2] == [("\u2581", 0, 1), ("a", 0, 1), *[("\u2581", 3, 4)] * trailing]
        assert len(rows[4]) == trailing


def test_only_the_first_words_are_looked_at():
    graph = Unigram(vocabulary_of(LETTERS))
    ids, row_splits, starts, _ = graph.tokenize(tf.constant(["a b c", "", "b", " a  a"]), 2)
    assert row_splits.numpy().tolist() == [0, 4, 4, 6, 10]
    assert starts.numpy().tolist() == [0, 0, 2, 2, 0, 0, 1, 1, 4, 4]
    assert len(ids) == 10


def test_pieces_learnt_by_tokenizers_give_its_tokens():
    # Its scores are of any value: sums are rounded, and must be rounded in the same order.
    texts = ["the cat and the hat", "then they ate", "中文的文字", "中国的文化", "a café in Rome"]
    texts += [f"{a}{b} {b}{a}" for a in texts for b in texts]
    pipeline = Pipeline(models.Unigram())
    pipeline.normalizer = normalizers.Precompiled(build(REPLACED))
    pipeline.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]
    )
    trainer = trainers.UnigramTrainer(vocab_size=120, show_progress=False, special_tokens=["<unk>"])
    pipeline.train_from_iterator(texts, trainer)
    learnt = {piece: score for piece, score in _scores(pipeline).items() if piece != "<unk>"}
    tokens_of(vocabulary_of(learnt), [*texts, *unigram_kinds.chains([*learnt], 500, seed=2)])


def _scores(pipeline: Pipeline) -> dict[str, float]:
    return dict(json.loads(pipeline.to_str())["model"]["vocab"])


def test_more_characters_than_there_are_code_points_below_the_surrogates():
    letters = [chr(c) for c in [*range(0x3400, 0xA000), *range(0x20000, 0x28000)]]
    pieces = {"\u2581": -2.0} | dict.fromkeys(letters, -5.0)
    for pair in ("a\U00027ff0", "\U00027ffe\U00027fff"):
        pieces[pair] = -6.0
    texts = ["\U00027ffe\U00027fff\U00027000 一", "a\U00027ff0", "\U00027ffd\U00027ffe"]
    assert tokens_of(vocabulary_of(pieces), texts)[0][1] == ("\U00027ffe\U00027fff", 0, 2)


def test_time_grows_with_the_length_of_a_word():
    # No place cuts this word: "aa" crosses all of them.
    vocabulary = vocabulary_of(LETTERS | {"aa": -5.5, "aaaaa": -10.5, "ab": -3.5})
    tokenizer, reference = Tokenizer(Unigram(vocabulary)), make_pipeline(vocabulary)

    def seconds(length: int) -> float:
        text = "a" * length + "b"
        start = time.process_time()
        (ids,) = tokenizer.tokenize([text]).to_list()
        taken = time.process_time() - start
        assert ids == reference.encode(text, add_special_tokens=False).ids
        return taken

    seconds(2000)
    # Four times, or sixteen times if every piece were compared with every place.
    assert min(seconds(40_000) for _ in range(2)) < 10 * max(seconds(10_000), 0.02)
