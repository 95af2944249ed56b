"""BM25 in a graph against its formula and the reference; figures, weight and floor of an index."""

from __future__ import annotations

import math

import numpy as np
import pytest
import tensorflow as tf

from tfpipe.config import IndexConfig
from tfpipe.errors import UserError
from tfpipe.retrieval.lexical import Lexical, build_postings
from tfpipe.retrieval.questions import Questions
from tfpipe.retrieval.ranking import Ranks, answer_first, choose_floor, figures, rank_answered
from tfpipe.retrieval.reference import Asked, Reference
from tfpipe.retrieval.tuning import check_requirements, meet_requirements, tune

UNKNOWN = 1
ENTRIES = [np.array(row, np.int32) for row in ([2, 3, 3], [2, 4], [5, UNKNOWN, 2, 6], [7])]


def score(question: list[list[int]]) -> np.ndarray:
    lexical = Lexical(build_postings(ENTRIES, UNKNOWN))
    rows = tf.ragged.constant(question, tf.int32, ragged_rank=1)
    return tf.function(lexical)(rows).numpy()


def test_bm25_by_hand() -> None:
    # Entry 0 holds token 3 twice, of 3 tokens; the mean length is 10 / 4.
    idf = math.log(1 + (4 - 1 + 0.5) / (1 + 0.5))
    impact = idf * 2 / (2 + 1.2 * (1 - 0.75 + 0.75 * 3 / 2.5))
    np.testing.assert_allclose(score([[3]]), [[impact / idf, 0, 0, 0]], rtol=1e-6)
    # A token that no entry has weighs most, and so does the unknown one.
    absent = math.log(1 + (4 + 0.5) / 0.5)
    for token in (9, 10_000, UNKNOWN):
        expected = [[impact / (idf + absent), 0, 0, 0]]
        np.testing.assert_allclose(score([[3, token]]), expected, rtol=1e-6)
    # Twice in the question is twice the weight, above and below.
    found = score([[3, 3, 9], [3, 9, 9]])[:, 0]
    np.testing.assert_allclose(
        found, [2 * impact / (2 * idf + absent), impact / (idf + 2 * absent)], rtol=1e-6
    )


def test_the_graph_is_the_reference() -> None:
    random = np.random.default_rng(0)
    entries = [random.integers(0, 40, random.integers(0, 12)) for _ in range(50)]
    questions = [random.integers(0, 60, random.integers(0, 9)) for _ in range(30)]
    graph = Lexical(build_postings(entries, UNKNOWN))
    rows = tf.ragged.constant([q.tolist() for q in questions], tf.int32, ragged_rank=1)
    reference = Reference(None, entries, UNKNOWN)
    asked = Asked(None, questions, np.zeros(30, bool))
    expected = reference.lexical(asked)
    assert expected.max() > 0.3 and expected.min() == 0
    np.testing.assert_allclose(graph(rows).numpy(), expected, atol=1e-6)
    empty = graph(tf.ragged.constant([[], []], tf.int32, ragged_rank=1)).numpy()
    np.testing.assert_array_equal(empty, np.zeros([2, 50]))
    none = tf.RaggedTensor.from_row_splits(tf.zeros([0], tf.int32), tf.constant([0], tf.int64))
    assert graph(none).shape == (0, 50)


def test_figures() -> None:
    found = figures(np.array([1, 2, 5, 10, 11]))
    assert found["recall_at_1"] == pytest.approx(0.2)
    assert found["recall_at_5"] == pytest.approx(0.6)
    assert found["mrr_at_10"] == pytest.approx((1 + 0.5 + 0.2 + 0.1 + 0) / 5)


def material(questions: int = 40) -> tuple[Reference, Asked, Questions]:
    """Entries whose vectors name the even questions and whose tokens name the odd ones."""
    count = 8
    vectors, tokens = np.eye(count, dtype=np.float32), [np.array([row]) for row in range(count)]
    gold = np.arange(questions) % count
    asked_vectors = np.where((gold % 2 == 0)[:, None], vectors[gold], 0).astype(np.float32)
    asked_tokens = [np.array([row if row % 2 else 99]) for row in gold]
    reference = Reference(vectors, tokens, None)
    asked = Asked(asked_vectors, asked_tokens, np.zeros(questions, bool))
    return reference, asked, Questions("q.tsv", ["?"] * questions, gold)


def test_the_weight_that_ranks_best_is_chosen_and_measured_on_other_questions() -> None:
    reference, asked, questions = material()
    tuned = tune(IndexConfig(), reference, asked, questions)
    assert 0 < tuned.search.weight < 1 and tuned.search.floor == 0
    assert tuned.metrics["hybrid"] == {"recall_at_1": 1, "recall_at_5": 1, "mrr_at_10": 1}
    # Without a hint all entries have the score 0, and earlier ones rank first.
    for half, missing in (("dense", (1, 3, 5, 7)), ("lexical", (0, 2, 4, 6))):
        reciprocal = [1.0] * 4 + [1 / (entry + 1) for entry in missing]
        assert tuned.metrics[half]["mrr_at_10"] == pytest.approx(np.mean(reciprocal))
    given = tune(IndexConfig(weight=1.0), reference, asked, questions)
    assert given.metrics["hybrid"] == given.metrics["dense"] and given.search.weight == 1
    alone = Reference(None, [np.array([row]) for row in range(8)], None)
    only = Asked(None, asked.tokens, asked.blank)
    lexical = tune(IndexConfig(lexical_only=True), alone, only, questions)
    assert [*lexical.metrics] == ["questions", "weight", "lexical", "floor"]


def test_held_out_ranks_are_of_weights_that_others_chose() -> None:
    ranks = Ranks(np.array([0.0, 1.0]), np.array([[1] * 9 + [50], [2] * 9 + [1]]))
    assert ranks.best() == 0.0
    np.testing.assert_array_equal(ranks.held_out(), [1] * 9 + [50])


def test_ranks_of_parts_are_those_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    reference, asked, questions = material()
    gold = np.where(np.arange(40) % 5 == 0, -1, questions.gold)
    some = Questions("q.tsv", questions.texts, gold)
    whole = rank_answered(reference, asked, some, [0.0, 0.5])
    assert whole.ranks.shape == (2, 32) and whole.ranks.min() == 1
    monkeypatch.setattr("tfpipe.retrieval.ranking.MOST_SCORES", 8 * 7)
    parts = rank_answered(reference, asked, some, [0.0, 0.5])
    np.testing.assert_array_equal(parts.ranks, whole.ranks)
    first = answer_first(reference, asked, some, 0.5)
    assert (first.predicted == questions.gold).all() and first.gold is gold


def test_a_floor_separates_questions_without_an_entry() -> None:
    vectors = np.eye(4, dtype=np.float32)
    gold = np.array([0, 1, 2, 3] * 5 + [-1] * 10)
    near = np.where(gold >= 0, 0.8, 0.3)[:, None] * vectors[np.maximum(gold, 0)]
    reference = Reference(vectors, None, None)
    asked = Asked(near.astype(np.float32), None, np.zeros(30, bool))
    questions = Questions("q.tsv", ["?"] * 30, gold)
    floor, held_out = choose_floor(answer_first(reference, asked, questions, 1.0))
    assert 0.3 < floor < 0.8
    assert held_out.in_scope_accuracy == held_out.out_of_scope_recall == 1
    config = IndexConfig(dense_only=True, floor=0.1)
    assert tune(config, reference, asked, questions).search.floor == 0.1
    tuned = tune(IndexConfig(dense_only=True), reference, asked, questions)
    assert tuned.search.floor == floor and tuned.metrics["answering"]["coverage"] == 2 / 3
    assert [*tuned.as_lines()][-1].startswith("above the floor: 100.0% of the questions")


def test_requirements() -> None:
    reference, asked, questions = material()
    config = IndexConfig(tune="q.tsv", require="hybrid.recall_at_1>=0.9,dense.mrr_at_10>0.1")
    tuned = tune(config, reference, asked, questions)
    assert [one["found"] for one in meet_requirements(config, tuned)][0] == 1
    with pytest.raises(UserError, match=r"dense.recall_at_1 is 0.5, required dense.recall_at_1>"):
        meet_requirements(IndexConfig(require="dense.recall_at_1>0.9"), tuned)
    check_requirements(config)
    with pytest.raises(UserError, match=r"did you mean 'hybrid.recall_at_1'"):
        check_requirements(IndexConfig(require="hybrid.recal_at_1>0.9"))
    with pytest.raises(UserError, match="known: lexical.recall_at_1"):
        check_requirements(IndexConfig(lexical_only=True, require="hybrid.recall_at_1>0.9"))
