"""The best legal sequence of tags, against all sequences."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tfpipe.tasks.tag.viterbi import find_best_tags


def is_legal(tags: tuple[int, ...], types: int) -> bool:
    before = (0, *tags)
    return all(t <= types or b in (t, t - types) for t, b in zip(tags, before, strict=False))


def decode(costs: np.ndarray, lengths: list[int] | None = None) -> np.ndarray:
    rows, places = costs.shape[:2]
    used = tf.sequence_mask([places] * rows if lengths is None else lengths, places)
    return find_best_tags(tf.constant(costs, tf.float32), used).numpy()


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_against_all_sequences(data: st.DataObject) -> None:
    types, places = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 4))
    shape = (3, places, 1 + 2 * types)
    # Few and small numbers: ties are frequent, and their sums exact.
    costs = data.draw(arrays.arrays(np.float32, shape, elements=st.integers(-4, 4)))
    lengths = data.draw(st.lists(st.integers(0, places), min_size=3, max_size=3))
    found = decode(costs, lengths)
    for row, length, tags in zip(costs, lengths, found, strict=True):
        assert (tags[length:] == 0).all()
        chosen = tuple(tags[:length].tolist())
        assert is_legal(chosen, types)
        every = itertools.product(range(1 + 2 * types), repeat=length)
        sums = [sum(row[i, t] for i, t in enumerate(s)) for s in every if is_legal(s, types)]
        assert sum(row[i, t] for i, t in enumerate(chosen)) == max(sums)


def test_a_word_is_worth_a_type_that_the_sentence_makes_likelier() -> None:
    # O B-a B-b I-a I-b: alone the first word is an a, but the two behind it go on with a b.
    costs = np.array([[[0, 3, 2, 0, 0], [0, 0, 0, 0, 4], [0, 0, 0, 0, 4]]], np.float32)
    assert decode(costs).tolist() == [[2, 4, 4]]


def test_an_entity_may_follow_another_of_its_type() -> None:
    costs = np.array([[[0, 9, 0], [0, 9, 0], [0, 0, 9], [0, 9, 0]]], np.float32)
    assert decode(costs).tolist() == [[1, 1, 2, 1]]


def test_neighbours_and_the_graph_change_nothing() -> None:
    random = np.random.default_rng(7)
    costs = random.normal(size=(20, 30, 9)).astype(np.float32)
    costs[:10, :, 0] += 20  # legal as they are; the others are not
    lengths = random.integers(0, 31, 20).tolist()
    together = decode(costs, lengths)
    alone = [decode(costs[i : i + 1], lengths[i : i + 1])[0] for i in range(20)]
    np.testing.assert_array_equal(together, alone)
    signature = [tf.TensorSpec([None, None, 9]), tf.TensorSpec([None, None], tf.bool)]
    graph = tf.function(find_best_tags, input_signature=signature, autograph=False)
    np.testing.assert_array_equal(graph(costs, tf.sequence_mask(lengths, 30)), together)


def test_half_a_thousand_words() -> None:
    costs = np.full([2, 510, 5], -5.0, np.float32)
    costs[:, :, 3] = -0.1
    assert decode(costs).tolist() == [[1, *[3] * 509]] * 2


@pytest.mark.parametrize("rows,places", [(0, 3), (2, 0), (0, 0)])
def test_nothing_to_decode(rows: int, places: int) -> None:
    assert decode(np.zeros([rows, places, 5], np.float32)).shape == (rows, places)
