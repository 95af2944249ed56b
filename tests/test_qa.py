"""Question answering: answers found by search, gold places, loss, thresholds, the served graph."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tfpipe.data.examples import Columns, Examples
from tfpipe.data.squad import GoldAnswer, dump_answers
from tfpipe.data.tokenizer import Tokenizer, WordPiece
from tfpipe.errors import UserError
from tfpipe.tasks.losses import LossSettings
from tfpipe.tasks.qa.best_spans import NEVER, find_best_spans
from tfpipe.tasks.qa.context_windows import window_contexts
from tfpipe.tasks.qa.task import QA

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "who", "where", "paid", "at", "noon", "zoe", "in"]
WORDS += ["北", "京", "😀", "5", "##5", "€", ".", "?", "tea"]
CONTEXT = "Zoë paid 55 € 😀 at noon. In 北京 tea, tea."
QUESTION = "Who paid?"


@functools.cache
def tokenizer() -> Tokenizer:
    return Tokenizer(WordPiece(WORDS))


def make_examples(*rows: tuple[str, str, list[GoldAnswer]]) -> Examples:
    questions, contexts, answers = zip(*rows, strict=True)
    labels = [dump_answers(several) for several in answers]
    return Examples(questions, contexts, labels, "a.json", Columns())


def reported(answer: str, context: str = CONTEXT, place: int = 0) -> list[GoldAnswer]:
    starts = [i for i in range(len(context)) if context.startswith(answer, i)]
    return [GoldAnswer(starts[place], answer)]


def dense(labelled) -> np.ndarray:  # type: ignore[no-untyped-def]
    """Logits of the right shape, all 0."""
    return np.zeros([len(labelled.encoded), labelled.encoded.lengths.max(), 2], np.float32)


def oracle(labelled) -> np.ndarray:  # type: ignore[no-untyped-def]
    """Logits of a model that knows the gold."""
    logits = dense(labelled)
    for window, (start, end) in enumerate(labelled.targets["answer"].tolist()):
        logits[window, start, 0] = logits[window, end, 1] = 20.0
    return logits


def score_tokens(inputs: dict[str, tf.Tensor]) -> tf.Tensor:
    """A small "model": logits that depend on each token, its place and the token before."""
    ids = tf.cast(inputs["input_ids"], tf.float32)
    place = tf.cast(tf.range(tf.shape(ids)[1]), tf.float32)
    mixed = ids * 12.9898 + tf.pad(ids, [[0, 0], [1, 0]])[:, :-1] * 4.1414 + place * 0.37
    return tf.stack([3 * tf.sin(mixed), 3 * tf.cos(mixed * 1.7)], axis=2)


# ---- decoding


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(0, 14), min_size=1, max_size=3),
    st.integers(6, 9),
    st.integers(1, 4),
    st.integers(1, 5),
    st.integers(0, 10_000),
)
def test_best_spans_by_search(
    lengths: list[int], max_length: int, longest: int, count: int, seed: int
) -> None:
    contexts = [" ".join(["tea", "at", "北", "noon"][i % 4] for i in range(n)) for n in lengths]
    questions = ["who"] * len(contexts)
    windows = window_contexts(
        tokenizer(), tf.constant(questions), tf.constant(contexts), max_length
    )
    owner, starts, ends = (x.numpy() for x in windows.tokens)
    random = np.random.default_rng(seed)
    # Few different values, so that equal scores occur.
    logits = random.integers(-2, 3, [*starts.shape, 2]).astype(np.float32)
    found = find_best_spans(tf.constant(logits), windows.tokens, count, longest)

    for row in range(len(contexts)):
        spans: dict[tuple[int, int], float] = {}
        silent = []
        for w in np.flatnonzero(owner == row):
            possible = [0, *np.flatnonzero(starts[w] >= 0).tolist()]
            shares = np.exp(logits[w][possible].astype(float))
            logs = dict(zip(possible, np.log(shares / shares.sum(axis=0)), strict=True))
            silent.append(sum(logs[0]))
            for i, j in itertools.product(possible[1:], possible[1:]):
                if i <= j < i + longest:
                    span = (int(starts[w, i]), int(ends[w, j]))
                    spans[span] = max(spans.get(span, -np.inf), logs[i][0] + logs[j][1])
        assert found.no_answer.numpy()[row] == pytest.approx(min(silent), abs=1e-4)
        scores = found.scores.numpy()[row]
        listed = [
            ((start, end), score)
            for start, end, score in zip(
                found.starts.numpy()[row].tolist(),
                found.ends.numpy()[row].tolist(),
                scores.tolist(),
                strict=True,
            )
            if score > NEVER / 2
        ]
        assert all(score == pytest.approx(spans[span], abs=1e-4) for span, score in listed)
        assert len({span for span, _ in listed}) == len(listed)
        if spans:
            assert listed[0][1] == pytest.approx(max(spans.values()), abs=1e-4)
        # Of one window nothing is listed twice, so the list is as long as it can be.
        if (owner == row).sum() == 1:
            best = sorted(spans.values(), reverse=True)[:count]
            assert [score for _, score in listed] == pytest.approx(best, abs=1e-4)


def test_a_long_answer_is_not_given() -> None:
    examples = make_examples((QUESTION, CONTEXT, reported("Zoë paid 55 € 😀 at noon")))
    labelled = QA().label(examples, tokenizer(), 64)
    logits = oracle(labelled)
    assert QA().evaluate(labelled, logits).predicted == ["Zoë paid 55 € 😀 at noon"]
    short = QA(longest_answer=3).evaluate(labelled, logits).predicted
    assert len(tokenizer().tokenize(short).to_list()[0]) <= 3


# ---- gold


@pytest.mark.parametrize("max_length", [8, 11, 16, 64])
@pytest.mark.parametrize(
    "answer", ["Zoë", "55", "5", "€ 😀", "北京", "京", "tea, tea.", "noon. In 北京"]
)
def test_gold_is_what_decoding_gives_back(answer: str, max_length: int) -> None:
    rows = [
        (QUESTION, CONTEXT, reported(answer)),
        (QUESTION, "tea. " * 9, reported("tea", "tea. " * 9, 6)),
    ]
    labelled = QA().label(make_examples(*rows), tokenizer(), max_length)
    assert len(labelled.owner) == len(labelled.targets["answer"]) == len(labelled.encoded)
    found = labelled.targets["answer"][:, 0] > 0
    whole_tokens = len(tokenizer().tokenize([answer]).to_list()[0])
    if whole_tokens <= max_length // 8:
        assert set(labelled.owner[found].tolist()) == {0, 1}
    for window in np.flatnonzero(found):
        (start, end), (first, last) = (labelled.targets[n][window] for n in ("answer", "context"))
        assert first <= start <= end <= last
    first_found = {row: (labelled.owner[found] == row).any() for row in (0, 1)}
    evaluation = QA().evaluate(labelled, oracle(labelled))
    for row, (_, context, answers) in enumerate(rows):
        if first_found[row]:
            start, end = (evaluation.outputs[name][row] for name in ("start", "end"))
            assert context[start:end] == evaluation.predicted[row]
            # "5" stands inside "55", of which only the first piece is meant.
            assert (start, evaluation.predicted[row]) == answers[0]


def test_gold_where_the_window_cuts_the_answer() -> None:
    context = "tea at noon in 北 京 tea at noon in 北 京"
    labelled = QA(stride=3).label(
        make_examples(("who", context, reported("in 北 京 tea", context))), tokenizer(), 10
    )
    for window, (a, b) in enumerate(itertools.pairwise(labelled.encoded.splits)):
        starts, ends = labelled.starts[a:b], labelled.ends[a:b]
        held = context[starts[starts >= 0][0] : ends.max()]
        assert (labelled.targets["answer"][window, 0] > 0) == ("in 北 京 tea" in held), held
    starts = labelled.targets["answer"][:, 0]
    assert (starts > 0).any() and (starts == 0).any()


def test_no_answer_and_no_context_tokens() -> None:
    rows = [(QUESTION, CONTEXT, []), (QUESTION, "\u200b", [])]
    labelled = QA(may_be_silent=True).label(make_examples(*rows), tokenizer(), 64)
    assert labelled.targets["answer"].tolist() == [[0, 0], [0, 0]]
    assert labelled.targets["context"][1].tolist() == [1, 0]
    evaluation = QA(may_be_silent=True).evaluate(labelled, oracle(labelled))
    assert evaluation.metrics["exact_match"] == 1.0
    # Where all questions have answers one is always given, if there is a word.
    given_always = QA().evaluate(labelled, oracle(labelled))
    assert given_always.predicted[0] and not given_always.predicted[1]
    assert given_always.outputs["start"].tolist()[1] == -1


# ---- loss


def targets_of(answer: list[list[int]], context: list[list[int]]) -> dict[str, np.ndarray]:
    return {"answer": np.array(answer, np.int32), "context": np.array(context, np.int32)}


def test_loss_is_cross_entropy_over_possible_places() -> None:
    random = np.random.default_rng(3)
    logits = random.normal(size=[2, 9, 2]).astype(np.float32)
    gold = {
        "answer": np.array([[4, 5], [0, 0]], np.int32),
        "context": np.array([[3, 6], [2, 7]], np.int32),
    }
    expected = []
    for window in range(2):
        (start, end), (first, last) = gold["answer"][window], gold["context"][window]
        possible = [0, *range(first, last + 1)]
        shares = np.exp(logits[window][possible])
        shares /= shares.sum(axis=0)
        right = shares[possible.index(start), 0], shares[possible.index(end), 1]
        expected.append(-np.log(right).mean())
    assert QA().loss(logits, gold).numpy() == pytest.approx(expected, rel=1e-5)
    assert QA().training_loss(logits, gold, LossSettings()).numpy() == pytest.approx(expected)
    # What stands at padding and in the question does not matter.
    other = logits.copy()
    other[0, [1, 2, 7, 8]], other[1, [1, 8]] = 50.0, -50.0
    assert QA().loss(other, gold).numpy() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    "settings", [LossSettings(focal_gamma=2.0), LossSettings(label_smoothing=0.1)]
)
def test_other_losses_are_finite_and_have_gradients(settings: LossSettings) -> None:
    logits = tf.Variable(np.random.default_rng(4).normal(size=[2, 9, 2]).astype(np.float32))
    gold = {
        "answer": np.array([[4, 5], [0, 0]], np.int32),
        "context": np.array([[3, 6], [1, 0]], np.int32),
    }
    with tf.GradientTape() as tape:
        loss = QA().training_loss(logits, gold, settings)
    assert np.isfinite(loss).all() and loss.numpy()[0] > 0
    gradient = tape.gradient(loss, logits).numpy()
    assert np.isfinite(gradient).all() and gradient[0, 4, 0] < 0
    assert (gradient[0, [1, 2, 7, 8]] == 0).all()


def test_divergence_is_that_of_the_possible_places() -> None:
    random = np.random.default_rng(5)
    one, two = (random.normal(size=[2, 9, 2]).astype(np.float32) for _ in range(2))
    gold = {
        "answer": np.array([[4, 5], [0, 0]], np.int32),
        "context": np.array([[3, 6], [1, 0]], np.int32),
    }
    possible = [0, 3, 4, 5, 6]
    p, q = (np.exp(logits[0, possible]) for logits in (one, two))
    p, q = p / p.sum(axis=0), q / q.sum(axis=0)
    expected = ((p - q) * (np.log(p) - np.log(q))).sum(axis=0).mean() / 2
    found = QA().divergence(one, two, gold).numpy()
    # A window with no place for an answer has nothing to differ in.
    np.testing.assert_allclose(found, [expected, 0.0], rtol=1e-4, atol=1e-6)
    assert QA().divergence(one, one, gold).numpy().tolist() == [0.0, 0.0]
    logits = tf.Variable(one)
    with tf.GradientTape() as tape:
        apart = QA().divergence(logits, two, gold)
    gradient = tape.gradient(apart, logits).numpy()
    assert np.isfinite(gradient).all() and (gradient[0, [1, 2, 7, 8]] == 0).all()


def test_balanced_weights() -> None:
    answer = np.array([[3, 4], [0, 0], [0, 0], [0, 0]])
    weights = QA().balanced_weights({"answer": answer})
    assert weights.tolist() == pytest.approx([2, 2 / 3, 2 / 3, 2 / 3])
    assert QA().balanced_weights({"answer": answer[1:]}).tolist() == [0.5] * 3


# ---- no answer


def test_the_threshold_is_tuned_for_f1() -> None:
    answers = [reported("noon"), reported("noon"), [], []]
    task = QA.from_labels([tuple(several) for several in answers])
    assert task.may_be_silent
    labelled = task.label(
        make_examples(*[(QUESTION, CONTEXT, several) for several in answers]), tokenizer(), 64
    )
    logits = dense(labelled)
    noon = labelled.targets["answer"][0, 0]
    logits[:, noon] = 10.0
    # No answer is overrated by all; by those without one the most.
    logits[:, 0] = [[12.0], [13.0], [15.0], [16.0]]
    assert task.evaluate(labelled, logits).metrics["f1"] == 0.5
    tuned = task.tuned_on(labelled, logits)
    assert 6.0 < tuned.threshold < 10.0
    figures = tuned.evaluate(labelled, logits).metrics
    assert figures["f1"] == figures["no_answer_accuracy"] == figures["answerable_f1"] == 1.0
    assert QA().tuned_on(labelled, logits) == QA()


def test_settings_there_and_back() -> None:
    task = QA(may_be_silent=True, threshold=-1.25, longest_answer=9, stride=32, candidates=7)
    head = task.head
    assert head.kind == "span"
    assert QA.restore(task.label_names, json.loads(json.dumps(dict(head.settings)))) == task
    assert head.settings["task"] == "qa"


# ---- served


CONTEXTS = [
    CONTEXT,
    CONTEXT * 5,
    "😀",
    "",
    " \u200b ",
    "x" * 300,
    "北京" * 40,
    b"tea \xff\xf0\x9f\x98 at \xe5\x8c noon",
    b"\xed\xa0\x80 paid in \xc0\x80 5",
]


@pytest.mark.parametrize("silent", [False, True])
def test_served_answers_stand_in_their_context(silent: bool, tmp_path: Path) -> None:
    task = QA(may_be_silent=silent, longest_answer=5)

    class Served(tf.Module):
        def __init__(self) -> None:
            self.tokenizer = tokenizer()

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string)] * 2)
        def serve(self, question: tf.Tensor, context: tf.Tensor) -> dict[str, tf.Tensor]:
            return task.answer([question, context], self.tokenizer, 16, score_tokens)

    questions = tf.constant([QUESTION] * len(CONTEXTS))
    served = Served()
    outputs = served.serve(questions, tf.constant(CONTEXTS))
    assert {n: (t.dtype.name, t.shape.rank) for n, t in outputs.items()} == {
        "answer": ("string", 1),
        "start": ("int32", 1),
        "end": ("int32", 1),
        "score": ("float32", 1),
    }
    for row, context in enumerate(CONTEXTS):
        text = context.decode("utf-8", "replace") if isinstance(context, bytes) else context
        answer, start, end, score = (
            outputs[name].numpy()[row] for name in ("answer", "start", "end", "score")
        )
        assert answer.decode() == text[start:end] and 0.0 <= score <= 1.0
        assert (start, end) == (-1, -1) or 0 <= start < end <= len(text)
        if not silent and text.strip(" \u200b"):
            assert answer

    # Alone as in company, and the same after a stay on disk.
    for row in range(len(CONTEXTS)):
        alone = served.serve(questions[:1], tf.constant(CONTEXTS[row : row + 1]))
        for name, tensor in alone.items():
            if name == "score":
                assert tensor.numpy() == pytest.approx(outputs[name].numpy()[row], abs=1e-5)
            else:
                assert tensor.numpy()[0] == outputs[name].numpy()[row]
    tf.saved_model.save(served, str(tmp_path / "m"))
    again = tf.saved_model.load(str(tmp_path / "m")).serve(questions, tf.constant(CONTEXTS))
    for name, tensor in again.items():
        assert np.array_equal(tensor, outputs[name])
    nothing = served.serve(tf.constant([], tf.string), tf.constant([], tf.string))
    assert all(tensor.shape == [0] for tensor in nothing.values())


def test_evaluation_answers_as_the_served_graph() -> None:
    words = CONTEXT.split()
    contexts = [" ".join(words[m % 7 :] * 2 + words * (m % 4)) for m in range(140)]
    rows = [(QUESTION, context, reported("noon", context)) for context in contexts]
    examples = make_examples(*rows)
    task = QA(may_be_silent=True, threshold=-1.0, longest_answer=4)
    labelled = task.label(examples, tokenizer(), 24)
    logits = dense(labelled)
    for window, (a, b) in enumerate(itertools.pairwise(labelled.encoded.splits)):
        ids = tf.constant(labelled.encoded.ids[np.newaxis, a:b])
        logits[window, : b - a] = score_tokens({"input_ids": ids})[0]
    evaluated = task.evaluate(labelled, logits).outputs
    columns = (tf.constant([QUESTION] * len(contexts)), tf.constant(contexts))
    served = task.answer(columns, tokenizer(), 24, score_tokens)
    assert evaluated["answer"].tolist() == [a.decode() for a in served["answer"].numpy()]
    assert evaluated["start"].tolist() == served["start"].numpy().tolist()
    assert evaluated["score"] == pytest.approx(served["score"].numpy(), abs=1e-6)
    assert len(set(served["answer"].numpy())) > 3 and b"" in served["answer"].numpy()


def test_ids_are_answered_with_logits() -> None:
    logits = tf.constant(np.random.default_rng(5).normal(size=[2, 5, 2]))
    outputs = QA().decode(logits)
    assert outputs["start_logits"].dtype == outputs["end_logits"].dtype == tf.float32
    assert np.allclose(outputs["end_logits"], logits[:, :, 1])


# ---- evaluation and bad input


def test_evaluation() -> None:
    rows = [
        (QUESTION, CONTEXT, reported("noon")),
        (QUESTION, CONTEXT, reported("Zoë") + reported("55")),
    ]
    outputs = {
        "answer": np.array([b"at noon", b"tea"], object),
        "start": np.array([0, 0]),
        "end": np.array([0, 0]),
        "score": np.array([0.5, 0.75], np.float32),
    }
    examples = make_examples(*rows)
    evaluation = QA().judge(examples, outputs)
    assert evaluation.metrics == {"exact_match": 0.0, "f1": pytest.approx(1 / 3), "examples": 2}
    assert QA().costs(examples, outputs) == pytest.approx([1 / 3, 1.0])
    (mistake,) = evaluation.mistakes(5)
    assert (mistake.gold, mistake.predicted, mistake.score) == ("Zoë | 55", "tea", 0.75)
    assert [row[1:] for row in evaluation.rows()][0] == ("noon", "at noon", 0.5)
    with pytest.raises(ValueError, match="label"):
        QA().costs(examples, {"label": np.array(["a", "b"])})


def test_bad_examples() -> None:
    good = make_examples((QUESTION, CONTEXT, reported("noon")))
    QA.check(good, to_learn=True)
    cases = [
        (dataclasses.replace(good, text_pairs=None), "no contexts"),
        (dataclasses.replace(good, labels=["noon"]), "row 1: 'noon'"),
        (dataclasses.replace(good, labels=['[[3, "noon"]]']), "row 1: 'noon' at 3"),
        (dataclasses.replace(good, texts=[" "]), "a question is empty"),
        (make_examples((QUESTION, " ", [])), "a context is empty"),
        (make_examples((QUESTION, CONTEXT, [])), "nothing to learn"),
    ]
    for examples, part in cases:
        with pytest.raises(UserError) as caught:
            QA.check(examples, to_learn=True)
        assert part in str(caught.value)
    QA.check(make_examples((QUESTION, CONTEXT, [])), to_learn=False)
    assert QA.names_in(()) == ["no answer"] and QA.names_in((GoldAnswer(0, "a"),)) == ["answer"]
    assert not QA.from_labels([(GoldAnswer(0, "a"),)]).may_be_silent
