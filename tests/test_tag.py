"""Tagging: gold on first tokens, legal entities from logits, their places, strict figures."""

from __future__ import annotations

import functools
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.support.hostile import multilingual
from tfpipe.data.conll import read_conll
from tfpipe.data.examples import Columns, Examples
from tfpipe.data.spans import Span, format_spans, parse_spans
from tfpipe.data.tokenizer import Tokenizer, WordPiece
from tfpipe.errors import UserError
from tfpipe.exporting.fuzz_strings import strings
from tfpipe.tasks.losses import LossSettings
from tfpipe.tasks.tag.covers import trim_span
from tfpipe.tasks.tag.labelled_words import EncodedTagDataset
from tfpipe.tasks.tag.task import Tag

NAMES = ["O", "B-loc", "I-loc", "B-per", "I-per"]
TASK = Tag(NAMES)


@functools.cache
def tokenizer() -> Tokenizer:
    letters = "abcdefghijklmnopqrstuvwxyz"
    pieces = ["ann", "met", *letters, *"-'.!中国去", *(f"##{letter}" for letter in letters)]
    return Tokenizer(WordPiece(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *pieces]))


def examples_of(*rows: tuple[str, list[list[Any]]]) -> Examples:
    labels = [json.dumps(entities) for _, entities in rows]
    return Examples([text for text, _ in rows], None, labels, "a.jsonl", Columns("text"))


def label(
    examples: Examples, max_length: int = 64, task: Tag = TASK, used: Tokenizer | None = None
) -> EncodedTagDataset:
    return task.label(examples, used or tokenizer(), max_length)


def perfect_logits(labelled: EncodedTagDataset, task: Tag = TASK) -> np.ndarray:
    """Logits that say the gold tags, and at other tokens nonsense."""
    gold = np.where(labelled.targets["tags"] < 0, 2, labelled.targets["tags"])
    return 20 * np.eye(len(task.label_names), dtype=np.float32)[gold]


def random_examples(seed: int, rows: int = 60, used: Tokenizer | None = None) -> Examples:
    """Hostile texts with entities over some of their words."""
    chance = random.Random(seed)
    texts = [text for text in strings(rows, seed) if isinstance(text, str)]
    texts += ["去中国!", "Ann 👨\u200d👩 met José Re\u0301 in 中国.", ""]
    plain = label(examples_of(*((text, []) for text in texts)), 512, used=used)
    made = []
    for row, text in enumerate(texts):
        used, _, start, end = (values.numpy()[0] for values in plain.words(row, row + 1))
        entities, word, count = [], 0, int(used.sum())
        while word < count:
            length = chance.choice([0, 0, 1, 1, 2, 3])
            last = min(word + length, count) - 1
            if length:
                kind = chance.choice(["loc", "per"])
                entities.append([int(start[word]), int(end[last]), kind])
            word = max(word, last) + 1
        made.append((text, entities))
    return examples_of(*made)


# ---- labels ---------------------------------------------------------------------------------


def test_label_names_are_those_of_a_token_classifier() -> None:
    per, place = Span(0, 1, "per"), Span(0, 1, "geo-loc")
    task = Tag.from_labels([(per,), (), (place, Span(1, 2, "per"))])
    assert task.label_names == ["O", "B-geo-loc", "I-geo-loc", "B-per", "I-per"]
    assert Tag.names_in((Span(0, 1, "b"), Span(1, 2, "a"), Span(2, 3, "b"))) == ["a", "b"]
    assert (task.head.kind, task.name) == ("token", "tag")


@pytest.mark.parametrize(
    "names", [["O"], ["a", "b"], ["O", "B-x"], ["B-x", "I-x"], ["O", "B-x", "I-y"], ["O", "S-x"]]
)
def test_other_label_names_are_refused(names: list[str]) -> None:
    with pytest.raises(UserError, match="not BIO tags"):
        Tag.restore(names, {})


def test_what_cannot_be_learnt_is_refused() -> None:
    with pytest.raises(UserError, match="no entities"):
        Tag.check(examples_of(("a", [])), to_learn=True)
    Tag.check(examples_of(("a", [])), to_learn=False)
    with pytest.raises(UserError, match=r"a\.jsonl, row 2"):
        Tag.check(examples_of(("a", []), ("a", [[0, 2, "x"]])), to_learn=False)
    pairs = Examples(["a"], ["b"], ["[]"], "a.tsv", Columns("text_a", "text_b"))
    with pytest.raises(UserError, match="single texts"):
        Tag.check(pairs, to_learn=True)
    for refuse in (label, TASK.refuse_unknown):
        with pytest.raises(UserError, match="'org'"):
            refuse(examples_of(("a", [[0, 1, "org"]])))


def test_gold_stands_at_the_first_token_of_each_word() -> None:
    labelled = label(examples_of(("Ann bob met", [[0, 7, "per"]]), ("去中国", [[1, 3, "loc"]])))
    # [CLS] ann b ##o ##b met [SEP] and [CLS] 去 中 国 [SEP]
    assert labelled.targets["tags"].tolist() == [
        [-100, 3, 4, -100, -100, 0, -100],
        [-100, 0, 1, 2, -100, -100, -100],
    ]
    assert labelled.targets["tags"].dtype == np.int32
    assert (labelled.cut, labelled.torn, TASK.notes(labelled)) == (0, 0, [])


def test_what_is_cut_or_torn_is_counted_and_told() -> None:
    examples = examples_of(
        ("ann met bob", [[0, 3, "per"], [8, 11, "per"]]), ("anna", [[0, 3, "per"]]), ("", [])
    )
    labelled = label(examples, max_length=4)
    assert (labelled.cut, labelled.torn) == (1, 1)
    behind, inside = TASK.notes(labelled)
    assert behind.startswith("1 of 3 entities lie behind --max-length")
    assert inside.startswith("1 of 3 entities begin or end inside a word")
    figures = TASK.evaluate(labelled, perfect_logits(labelled)).metrics
    assert (figures["precision"], figures["recall"]) == (0.5, pytest.approx(1 / 3))


# ---- losses ---------------------------------------------------------------------------------


def test_loss_is_the_mean_over_first_tokens() -> None:
    labelled = label(examples_of(("ann bob met", [[0, 3, "per"]]), ("", [])))
    logits = np.random.default_rng(1).normal(size=(2, 7, 5)).astype(np.float32)
    shares = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    expected = -np.log([shares[0, 1, 3], shares[0, 2, 0], shares[0, 5, 0]]).mean()
    loss = TASK.loss(tf.constant(logits), labelled.targets).numpy()
    np.testing.assert_allclose(loss, [expected, 0.0], rtol=1e-5)
    # A batch is as wide as its longest text, or as wide as its device likes.
    for width in (6, 16):
        wide = np.zeros((2, width, 5), np.float32)
        wide[:, : min(width, 7)] = logits[:, :width]
        again = TASK.loss(tf.constant(wide), labelled.targets).numpy()
        np.testing.assert_allclose(again, loss, rtol=1e-6)


def test_training_loss_knows_focal_and_smoothing() -> None:
    labelled = label(examples_of(("ann met", [[0, 3, "per"]])))
    logits, batch = tf.constant(perfect_logits(labelled) / 10), labelled.targets
    plain = TASK.loss(logits, batch).numpy()
    assert TASK.training_loss(logits, batch, LossSettings()).numpy() == plain
    assert TASK.training_loss(logits, batch, LossSettings(label_smoothing=0.1)).numpy() > plain
    assert TASK.training_loss(logits, batch, LossSettings(focal_gamma=2.0)).numpy() < plain
    assert TASK.divergence(logits, logits, batch).numpy() == [0.0]
    assert TASK.divergence(logits, logits * 2, batch).numpy() > 0
    # Only where a word begins does an answer count.
    elsewhere = tf.where(batch["tags"][..., tf.newaxis] < 0, 7.0, logits)
    assert TASK.divergence(logits, elsewhere, batch).numpy() == [0.0]


def test_balanced_weights_lift_texts_with_rare_tags() -> None:
    labelled = label(examples_of(("a b c", []), ("a b", [[0, 1, "per"]]), ("", [])))
    # 5 words, 5 tags: O four times, B-per once.
    np.testing.assert_allclose(TASK.balanced_weights(labelled.targets), [0.25, 0.625, 0.0])


# ---- decoding -------------------------------------------------------------------------------


@pytest.mark.parametrize("used", [tokenizer, multilingual])
def test_entities_of_hostile_texts_stand_where_they_were_marked(
    used: Callable[[], Tokenizer],
) -> None:
    examples = random_examples(11, used=used())
    labelled = label(examples, 512, used=used())
    assert labelled.torn == 0
    evaluation = TASK.evaluate(labelled, perfect_logits(labelled))
    assert sum(map(len, evaluation.gold)) > 50
    if not labelled.cut:
        assert evaluation.metrics["f1"] == 1.0
    for text, gold, found in zip(
        examples.texts, evaluation.gold, evaluation.predicted, strict=True
    ):
        if len(gold) == len(found):
            assert [span for span, _ in found] == [*gold], text


def test_the_order_of_the_label_names_does_not_matter() -> None:
    other = Tag(["I-per", "B-loc", "O", "I-loc", "B-per"])
    examples = random_examples(13, 20)
    columns = [NAMES.index(name) for name in other.label_names]
    logits = np.random.default_rng(0).normal(size=(len(examples), 512, 5)).astype(np.float32)
    one = TASK.evaluate(label(examples, 512), logits)
    two = other.evaluate(label(examples, 512, other), logits[..., columns])
    assert one.predicted == two.predicted
    assert one.metrics == pytest.approx(two.metrics)


def test_scores_are_the_probability_of_just_these_words() -> None:
    text = "ann bob met"
    labelled = label(examples_of((text, [])))
    logits = np.zeros((1, labelled.targets["tags"].shape[1], 5), np.float32)
    logits[0, 1, 3], logits[0, 2, 4], logits[0, 5, 0] = 2.0, 1.0, 3.0
    shares = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    evaluation = TASK.evaluate(labelled, logits)
    (((span, score),),) = evaluation.predicted
    assert span == Span(0, 7, "per")
    expected = shares[0, 1, 3] * shares[0, 2, 4] * (1 - shares[0, 5, 4])
    assert score == pytest.approx(expected, rel=1e-5)
    # At the end of a text nothing can go on.
    logits[0, 5, 4] = 9.0
    ((((_, score),),)) = TASK.evaluate(labelled, logits).predicted
    last = np.exp(9) / (np.exp(9) + np.exp(3) + 3)
    assert score == pytest.approx(shares[0, 1, 3] * shares[0, 2, 4] * last, rel=1e-5)


def test_answers_of_a_saved_graph_are_those_of_evaluation(tmp_path: Path) -> None:
    """Neighbours, truncation and the disk change nothing."""
    table = np.random.default_rng(5).normal(size=(len(tokenizer().vocabulary), 5))
    table = tf.constant(table.astype(np.float32))
    examples = random_examples(17, 40)

    module = tf.Module()
    module.tokenizer = tokenizer()
    module.serve = tf.function(
        lambda text: TASK.answer(
            [text], tokenizer(), 24, lambda batch: tf.gather(table, batch["input_ids"])
        ),
        input_signature=[tf.TensorSpec([None], tf.string, name="text")],
    )
    tf.saved_model.save(module, str(tmp_path), signatures=module.serve)
    loaded = tf.saved_model.load(str(tmp_path))
    serve = loaded.signatures["serving_default"]

    labelled = label(examples, 24)
    rows = tf.RaggedTensor.from_row_splits(labelled.encoded.ids, labelled.encoded.splits)
    logits = tf.gather(table, rows.to_tensor()).numpy()
    evaluation = TASK.evaluate(labelled, logits)
    together = {k: v.numpy() for k, v in serve(text=tf.constant(examples.texts)).items()}
    shapes = {name: (values.dtype.kind, values.shape) for name, values in together.items()}
    size = (len(examples), max(map(len, evaluation.predicted)))
    assert shapes == {
        "entity": ("O", size),
        "start": ("i", size),
        "end": ("i", size),
        "score": ("f", size),
    }
    for name in ("start", "end"):
        np.testing.assert_array_equal(together[name], evaluation.outputs[name])
        assert together[name].dtype == np.int32
    np.testing.assert_allclose(together["score"], evaluation.outputs["score"], atol=1e-6)
    names = np.vectorize(bytes.decode, otypes=[object])(together["entity"])
    np.testing.assert_array_equal(names, evaluation.outputs["entity"])
    unused = names == ""
    assert unused.any() and (together["start"][unused] == -1).all()
    assert (together["end"][unused] == -1).all() and (together["score"][unused] == -1).all()
    for i, text in enumerate(examples.texts[:10]):
        alone = serve(text=tf.constant([text]))
        count = alone["start"].shape[1]
        np.testing.assert_array_equal(alone["start"][0], together["start"][i, :count])
    assert {k: v.shape.as_list() for k, v in serve(text=tf.constant([], tf.string)).items()} == {
        name: [0, 0] for name in together
    }
    judged = TASK.judge(examples, {**together, "entity": names}).metrics
    assert np.isnan(judged.pop("loss"))
    assert judged == {k: v for k, v in evaluation.metrics.items() if k != "loss"}


def test_tokens_alone_are_answered_by_their_tags() -> None:
    answer = TASK.decode(tf.constant(np.eye(5, dtype=np.float32)[None]))
    assert [name.decode() for name in answer["label"].numpy()[0]] == NAMES
    np.testing.assert_allclose(tf.reduce_sum(answer["scores"], -1), np.ones((1, 5)), rtol=1e-6)


# ---- figures --------------------------------------------------------------------------------


def word_tags(labelled: EncodedTagDataset, row: int, spans: list[Span]) -> list[str]:
    """BIO over the words of a text, of spans that are whole words."""
    used, _, start, end = (values.numpy()[0] for values in labelled.words(row, row + 1))
    text = labelled.examples.texts[row]
    cores = [trim_span(span, text) for span in spans]
    tags = []
    for a, b in zip(start[used].tolist(), end[used].tolist(), strict=True):
        word = trim_span(Span(a, b, ""), text)
        inside = [c for c in cores if c.start <= word.start and word.end <= c.end]
        first = inside and inside[0].start == word.start
        tags.append(f"{'B' if first else 'I'}-{inside[0].type}" if inside else "O")
    return tags


def test_figures_are_those_of_seqeval() -> None:
    metrics = pytest.importorskip("seqeval.metrics", reason="seqeval is not installed")
    from seqeval.scheme import IOB2

    labelled = label(random_examples(23, 120), 512)
    noise = np.random.default_rng(2).normal(scale=9, size=(*labelled.targets["tags"].shape, 5))
    evaluation = TASK.evaluate(labelled, (perfect_logits(labelled) + noise).astype(np.float32))
    rows = range(len(labelled.examples))
    gold = [word_tags(labelled, row, list(evaluation.gold[row])) for row in rows]
    found = [word_tags(labelled, row, [s for s, _ in evaluation.predicted[row]]) for row in rows]
    strict = {"mode": "strict", "scheme": IOB2}
    for name in ("precision", "recall", "f1"):
        expected = getattr(metrics, f"{name}_score")(gold, found, **strict)
        assert 0.1 < expected < 0.9
        assert evaluation.metrics[name] == pytest.approx(expected)
    report = metrics.classification_report(gold, found, output_dict=True, **strict)
    for row in evaluation.per_class:
        theirs = report[row["label"]]
        assert row["support"] == theirs["support"]
        for name, other in (("precision", "precision"), ("recall", "recall"), ("f1", "f1-score")):
            assert row[name] == pytest.approx(theirs[other])


def test_figures_by_hand() -> None:
    examples = examples_of(
        ("ann met bob in rome", [[0, 3, "per"], [8, 11, "per"], [15, 19, "loc"]]), ("a", [])
    )
    entity = np.array([["per", "loc", "loc"], ["per", "", ""]], object)
    start, end = np.array([[0, 8, 12], [0, -1, -1]]), np.array([[3, 11, 19], [1, -1, -1]])
    score = np.array([[0.9, 0.5, 0.7], [0.8, -1, -1]], np.float32)
    outputs = {"entity": entity, "start": start, "end": end, "score": score}
    evaluation = TASK.judge(examples, outputs)
    figures = evaluation.metrics
    assert figures["precision"] == 1 / 4 and figures["recall"] == 1 / 3
    assert figures["f1"] == pytest.approx(2 / 7) and figures["examples"] == 2
    assert evaluation.counts.tolist() == [[1, 3, 3], [0, 1, 0]]
    assert TASK.costs(examples, outputs).tolist() == [4.0, 1.0]
    with pytest.raises(ValueError, match="no entities"):
        TASK.costs(examples, {"label": entity})
    assert [(row["label"], row["support"]) for row in evaluation.per_class] == [
        ("loc", 1),
        ("per", 2),
    ]
    shown = [(m.gold, m.predicted, round(m.score, 1)) for m in evaluation.mistakes(5)]
    assert shown == [
        ("", "per: a", 0.8),
        ("loc: rome", "loc: in rome", 0.7),
        ("per: bob", "loc: bob", 0.5),
    ]
    assert len(evaluation.mistakes(1)) == 1
    first, second = evaluation.rows()
    assert first[:3] == (
        examples.texts[0],
        (examples.labels or [""])[0],
        format_spans([Span(0, 3, "per"), Span(8, 11, "loc"), Span(12, 19, "loc")]),
    )
    assert first[3] == pytest.approx(0.5) and second[1] == "[]"


def test_missed_entities_are_the_last_of_the_mistakes() -> None:
    examples = examples_of(("ann met bob", [[0, 3, "per"]]), ("bob", [[0, 3, "per"]]))
    outputs = {
        "entity": np.array([["loc"], [""]], object),
        "start": np.array([[8], [-1]]),
        "end": np.array([[11], [-1]]),
        "score": np.array([[0.2], [-1.0]], np.float32),
    }
    shown = [(m.gold, m.predicted) for m in TASK.judge(examples, outputs).mistakes(9)]
    assert shown == [("", "loc: bob"), ("per: ann", ""), ("per: bob", "")]
    assert TASK.judge(examples, outputs).metrics["f1"] == 0.0


def test_nothing_found_and_nothing_to_find() -> None:
    labelled = label(examples_of(("a", []), ("", [])))
    logits = np.zeros((2, labelled.targets["tags"].shape[1], 5), np.float32)
    logits[..., 0] = 9
    evaluation = TASK.evaluate(labelled, logits)
    assert [evaluation.metrics[name] for name in ("precision", "recall", "f1")] == [0.0] * 3
    assert [row[1:] for row in evaluation.rows()] == [("[]", "[]", 1.0)] * 2


# ---- real data ------------------------------------------------------------------------------


def test_no_entity_of_a_real_file_is_torn(shared_data: Path) -> None:
    examples = read_conll(shared_data / "wnut17" / "dev.conll").take(range(200))
    task = Tag.from_labels(Tag.parse_labels(examples))
    whole = label(examples, 512, task)
    assert (whole.cut, whole.torn) == (0, 0)
    evaluation = task.evaluate(whole, perfect_logits(whole, task))
    assert evaluation.metrics["f1"] == 1.0
    for row, entities in zip(evaluation.rows(), examples.labels or (), strict=True):
        assert row[1] == row[2] == entities

    short = label(examples, 40, task)
    total = sum(len(parse_spans(entities)) for entities in examples.labels or ())
    assert 0 < short.cut < total
    recall = task.evaluate(short, perfect_logits(short, task)).metrics["recall"]
    assert recall == pytest.approx(1 - short.cut / total)
