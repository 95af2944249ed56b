"""The tables of XLM-R's tokenizer: the trie, the symbols, the facts about characters."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest

from tests.support.unigram import toy_vocabulary
from tests.support.unigram_kinds import vocabulary_of
from tfpipe.data.tokenizer.unigram import graphemes, tables, trie


def walk(built: trie.Trie, sequence: tuple[int, ...]) -> int:
    """The slot where a sequence ends, NOWHERE if no sequence ends with it."""
    slot = built.root + sequence[-1]
    for symbol in sequence[-2::-1]:
        child = built.bases[slot] + symbol
        if built.checks[child] != slot:
            return trie.NOWHERE
        slot = child
    return slot


def build(sequences: list[tuple[int, ...]], alphabet: int) -> trie.Trie:
    splits = np.cumsum([0] + [len(sequence) for sequence in sequences])
    return trie.build(np.array([*itertools.chain(*sequences)], np.int32), splits, alphabet)


@pytest.mark.parametrize(
    ("alphabet", "longest", "count"), [(3, 5, 60), (40, 4, 3000), (2000, 3, 5000)]
)
def test_trie_has_its_sequences_and_no_others(alphabet, longest, count):
    rng = random.Random(alphabet)

    def draw() -> tuple[int, ...]:
        return tuple(rng.choices(range(alphabet), k=rng.randrange(1, longest + 1)))

    singles = [(symbol,) for symbol in range(alphabet)]
    sequences = [*dict.fromkeys([*singles, *(draw() for _ in range(count))])]
    built = build(sequences, alphabet)
    ends = {sequence: int(end) for sequence, end in zip(sequences, built.ends, strict=True)}
    assert all(walk(built, sequence) == end for sequence, end in ends.items())
    suffixes = {sequence[i:] for sequence in sequences for i in range(len(sequence))}
    for sequence in [draw() for _ in range(2000)]:
        assert (walk(built, sequence) != trie.NOWHERE) == (sequence in suffixes)


def test_full_trie_finds_room():
    # Every node has every child: no two can lie between each other.
    sequences = [s for n in (1, 2, 3) for s in itertools.product(range(12), repeat=n)]
    built = build(sequences, 12)
    assert len({*built.ends.tolist()}) == len(sequences)
    assert all(walk(built, s) == end for s, end in zip(sequences, built.ends, strict=True))


def test_scores_are_kept_as_they_are():
    rounded, exact = (vocabulary_of(kind) for kind in ("unigram-ties", "unigram"))
    assert tables.compose(rounded).scores.dtype == np.float64
    assert not tables.compose(rounded).exact
    composed = tables.compose(exact)
    assert composed.scores.dtype == np.float32 and composed.exact
    known = composed.ids >= 4
    assert (composed.scores[known] == exact.scores[composed.ids[known]]).all()


def test_special_tokens_are_not_in_the_trie():
    vocabulary = toy_vocabulary()
    composed = tables.compose(vocabulary)
    others = {*vocabulary.special_ids} - {vocabulary.unk_id}
    assert not others & {*composed.ids.tolist()}
    # An unknown character scores 10 less than the lowest piece.
    unknown = composed.scores[composed.ids == vocabulary.unk_id]
    assert (unknown == np.float64(vocabulary.scores.min() - 10)).all()


def test_shipped_facts_are_the_ones_that_were_proven():
    # They change with `python -m tfpipe.data.tokenizer.unigram.graphemes` only: then prove the new
    # ones again.
    assert graphemes.digest() == (
        "9ca29d7319c24a82697fd9a4ae13c0110588c45a087a00f880623bc40a096f9e"
    )


@pytest.mark.slow
def test_facts_are_what_the_tokenizers_library_says():
    np.testing.assert_array_equal(graphemes.learn(), graphemes.load())
