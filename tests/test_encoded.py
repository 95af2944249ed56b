"""Texts to ids through the one tokenizer, and the cache that keeps them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from tfpipe.data.encoded import CACHE_FILES, Encoded, encode
from tfpipe.data.examples import Columns, Examples
from tfpipe.data.hashing import hash_texts
from tfpipe.data.tokenizer import Tokenizer, WordPiece

VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "where", "is", "my", "card", "##s", "?", "卡"]
CLS, SEP = 2, 3


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer(WordPiece(VOCABULARY))


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of this test's own."""
    monkeypatch.setenv("TFPIPE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def examples_of(texts: Sequence[str], pairs: Sequence[str] | None = None) -> Examples:
    return Examples(list(texts), pairs and list(pairs), None, "f", Columns())


def rows(encoded: Encoded) -> list[list[int]]:
    return [list(row) for row in np.split(encoded.ids, encoded.splits[1:-1])]


def assert_equal(one: Encoded, other: Encoded) -> None:
    for name, values in vars(one).items():
        np.testing.assert_array_equal(values, vars(other)[name])
        assert np.asarray(values).dtype == np.asarray(vars(other)[name]).dtype


def test_ids_lengths_and_types_of_single_texts(tokenizer: Tokenizer) -> None:
    encoded = encode(examples_of(["Where is my card?", "", "cards 卡", "x" * 200]), tokenizer, 6)
    assert rows(encoded) == [
        [CLS, 4, 5, 6, 7, SEP],
        [CLS, SEP],
        [CLS, 7, 8, 10, SEP],
        [CLS, 1, SEP],
    ]
    assert list(encoded.lengths) == [6, 2, 5, 3]
    assert list(encoded.full_lengths) == [7, 2, 5, 3]
    assert len(encoded) == 4
    assert not encoded.token_types.any()
    assert (encoded.ids.dtype, encoded.token_types.dtype) == (np.int32, np.uint8)
    assert (encoded.splits.dtype, encoded.full_lengths.dtype) == (np.int64, np.int32)


def test_pairs(tokenizer: Tokenizer) -> None:
    encoded = encode(examples_of(["where is my card", "is"], ["card", ""]), tokenizer, 6)
    assert rows(encoded) == [[CLS, 4, 5, SEP, 7, SEP], [CLS, 5, SEP, SEP]]
    assert encoded.pad == tokenizer.frame.pad
    assert list(encoded.token_types) == [0, 0, 0, 0, 1, 1, 0, 0, 0, 1]
    assert list(encoded.full_lengths) == [8, 4]


def test_many_texts_equal_the_tokenizer_one_by_one(tokenizer: Tokenizer) -> None:
    random = np.random.default_rng(0)
    words = VOCABULARY[4:8] + ["cards", "other"]
    texts = [" ".join(random.choice(words, random.integers(0, 12))) for _ in range(2500)]
    encoded = encode(examples_of(texts), tokenizer, 10)
    assert len(encoded) == 2500
    kept = rows(encoded)
    for row in (0, 1, 1023, 1024, 2047, 2048, 2499):
        assert kept[row] == list(tokenizer([texts[row]], max_length=10)["input_ids"].numpy()[0])
        full = len(tokenizer([texts[row]], max_length=99)["input_ids"].numpy()[0])
        assert encoded.full_lengths[row] == full
    assert encoded.lengths.max() == 10 < encoded.full_lengths.max()


# ---- the cache ------------------------------------------------------------------------------


def test_a_second_time_reads_the_file_and_does_not_tokenize(
    tokenizer: Tokenizer, cache: Path
) -> None:
    examples = examples_of(["where", "is my card"])
    first = encode(examples, tokenizer, 8)
    (file,) = cache.iterdir()
    assert_equal(encode(examples, tokenizer, 8), first)
    # Proof that the file is what was read: other ids in it come back.
    changed = {**vars(first), "ids": first.ids + 1}
    np.savez(file, **changed)
    np.testing.assert_array_equal(encode(examples, tokenizer, 8).ids, first.ids + 1)


def test_all_that_decides_ids_decides_the_file(tokenizer: Tokenizer, cache: Path) -> None:
    for number, (examples, used, max_length) in enumerate(
        [
            (examples_of(["where", "is"]), tokenizer, 8),
            (examples_of(["where", "is"]), tokenizer, 9),
            (examples_of(["where", "my"]), tokenizer, 8),
            (examples_of(["is", "where"]), tokenizer, 8),
            (examples_of(["wherei", "s"]), tokenizer, 8),
            (examples_of(["where"], ["is"]), tokenizer, 8),
            (examples_of(["where", "is"], ["", ""]), tokenizer, 8),
            (examples_of(["where", "is"]), Tokenizer(WordPiece([*VOCABULARY, "more"])), 8),
            (examples_of(["where", "is"]), Tokenizer(WordPiece(VOCABULARY, lower_case=False)), 8),
        ],
        start=1,
    ):
        encode(examples, used, max_length)
        assert len(list(cache.iterdir())) == number
    encode(examples_of(["where", "is"]), Tokenizer(WordPiece(VOCABULARY)), 8)
    assert len(list(cache.iterdir())) == number


def test_a_damaged_file_is_replaced(tokenizer: Tokenizer, cache: Path) -> None:
    examples = examples_of(["where is my card"])
    expected = encode(examples, tokenizer, 8)
    (file,) = cache.iterdir()
    whole = file.read_bytes()
    # Byte 8 of a zip's local header is its way of compression, byte 6 says "encrypted".
    for damaged in (
        b"",
        b"junk" * 99,
        whole[:50],
        whole[:-30],
        whole[:8] + b"\x63" + whole[9:],
        whole[:6] + b"\x01" + whole[7:],
        whole.replace(b"splits.npy", b"splitz.npy"),
        whole.replace(b"full_lengths.npy", b"null_lengths.npy"),
    ):
        file.write_bytes(damaged)
        assert_equal(encode(examples, tokenizer, 8), expected)
        with np.load(file) as stored:
            assert sorted(stored) == ["full_lengths", "ids", "pad", "splits", "token_types"]
    assert list(cache.iterdir()) == [file]


def test_where_nothing_can_be_kept_nothing_is_lost(
    tokenizer: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        monkeypatch.setenv("TFPIPE_CACHE", str(place))
        assert rows(encode(examples_of(["where"]), tokenizer, 8)) == [[CLS, 4, SEP]]
    assert (tmp_path / "file").read_text() == ""
    assert [child.name for child in tmp_path.iterdir()] == ["file"]


def test_the_oldest_files_make_room(tokenizer: Tokenizer, cache: Path) -> None:
    for number in range(CACHE_FILES + 3):
        encode(examples_of([f"where {number}"]), tokenizer, 8)
    assert len(list(cache.iterdir())) == CACHE_FILES


def test_no_two_tables_of_texts_hash_alike() -> None:
    tables: list[list[list[str]]] = [
        [["ab", "c"]],
        [["a", "bc"]],
        [["abc"]],
        [["ab"], ["c"]],
        [["ab", "c"], []],
        [[], ["ab", "c"]],
        [["ab", "c", ""]],
        [["AB", "c"]],
    ]
    assert len({hash_texts(*table) for table in tables}) == len(tables)
    assert hash_texts(["ab", "c"]) == hash_texts(("ab", "c"))
