"""Texts longer than an input: what is read of them, held against lists and slices."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.hostile import HOSTILE, INVALID, PIECES, TOKENIZERS, tokenizer
from tests.support.labelled import make_examples
from tfpipe.data.encoded import encode
from tfpipe.data.tokenizer import Tokenizer, WordPiece
from tfpipe.errors import UserError
from tfpipe.tasks import long_text
from tfpipe.tasks.classify.task import Classify
from tfpipe.tasks.labelled_texts import CHUNK, EncodedTextDataset
from tfpipe.tasks.long_text import CUTS, TextInputs, forward_in_groups, mean_by_owner
from tfpipe.tasks.multilabel.task import Multilabel
from tfpipe.tasks.regress.task import Regress

PARTS = ["input_ids", "token_type_ids", "attention_mask"]


@functools.cache
def numbers() -> Tokenizer:
    return Tokenizer(WordPiece(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *(f"w{i}" for i in range(90))]))


def cut(mode: str, texts: list, max_length: int, used: Tokenizer | None = None) -> TextInputs:
    return CUTS[mode](used or tokenizer(), tf.constant(texts, tf.string), max_length)


def stretches(mode: str, tokens: list[int], capacity: int) -> list[list[int]]:
    """What is to be read of a text, as plain lists."""
    if len(tokens) <= capacity:
        return [tokens]
    if mode == "head_tail":
        return [tokens[: capacity // 4] + tokens[len(tokens) - (capacity - capacity // 4) :]]
    step, parts = max(capacity // 2, 1), []
    begin = 0
    while begin + capacity < len(tokens):
        parts.append(tokens[begin : begin + capacity])
        begin += step
    return [*parts, tokens[-capacity:]]


def check(mode: str, texts: list, max_length: int, used: Tokenizer | None = None) -> None:
    """All inputs of the texts are those of the lists."""
    used = used or tokenizer()
    frame = used.frame
    found = cut(mode, texts, max_length, used)
    tokens = used.tokenize(texts).to_list()
    expected = [stretches(mode, of_text, max_length - 2) for of_text in tokens]
    owner = [i for i, of_text in enumerate(expected) for _ in of_text]
    rows = [[frame.cls, *part, frame.sep] for of_text in expected for part in of_text]
    longest = max((len(row) for row in rows), default=1)
    filled = [row + [frame.pad] * (longest - len(row)) for row in rows]
    ids, types, mask = (found.inputs[name].numpy() for name in PARTS)
    np.testing.assert_array_equal(ids, np.reshape(filled, [len(rows), longest]))
    assert mask.sum(axis=1).tolist() == [len(row) for row in rows]
    assert (np.diff(mask, axis=1) <= 0).all()
    assert not types.any() and types.shape == ids.shape == mask.shape
    assert found.owner.numpy().tolist() == owner
    assert found.full_lengths.numpy().tolist() == [len(of_text) + 2 for of_text in tokens]
    assert all(x.dtype == tf.int32 for x in tf.nest.flatten(found))


@pytest.mark.parametrize("kind", TOKENIZERS)
@pytest.mark.parametrize("max_length", [4, 5, 6, 13, 40, 512])
@pytest.mark.parametrize("mode", CUTS)
def test_hostile_texts(mode: str, max_length: int, kind: str) -> None:
    used = TOKENIZERS[kind]()
    capacity = max_length - 2
    near = [" ".join("abcdefg"[i % 7] for i in range(capacity + more)) for more in (-1, 0, 1, 2)]
    check(mode, [*HOSTILE, *near, " ".join("abcdefg" * capacity)], max_length, used)
    check(mode, ["", " "], max_length, used)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([*CUTS]),
    st.lists(st.lists(PIECES, max_size=60), max_size=5),
    st.integers(4, 40),
)
def test_any_texts(mode: str, texts: list[list[str]], max_length: int) -> None:
    check(mode, [" ".join(text) for text in texts], max_length)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(PIECES, max_size=90), max_size=4), st.integers(4, 40))
def test_every_token_is_in_a_window_and_neighbours_overlap(
    texts: list[list[str]], max_length: int
) -> None:
    # Each token of a text is another one, so that its place shows.
    numbered = [" ".join(f"w{i}" for i in range(len(text))) for text in texts]
    found = long_text.cut_windows(numbers(), tf.constant(numbered, tf.string), max_length)
    ids, mask = (found.inputs[name].numpy() for name in ("input_ids", "attention_mask"))
    owner = found.owner.numpy()
    assert np.array_equal(np.unique(owner), np.arange(len(texts)))
    for row, text in enumerate(texts):
        parts = [ids[w, 1 : mask[w].sum() - 1].tolist() for w in np.flatnonzero(owner == row)]
        assert {token for part in parts for token in part} == set(range(4, 4 + len(text)))
        assert all(part == [*range(part[0], part[-1] + 1)] for part in parts if part)
        if parts[1:]:
            assert {len(part) for part in parts} == {max_length - 2}
            assert parts[-1][-1] == 3 + len(text)
        for before, after in zip(parts, parts[1:], strict=False):
            assert before[0] < after[0] <= before[0] + max(1, (max_length - 2) // 2)
            assert after[0] <= before[-1] + 1


@pytest.mark.parametrize("max_length", [4, 13, 40])
@pytest.mark.parametrize("mode", CUTS)
def test_a_text_that_fits_is_what_the_tokenizer_makes_of_it(mode: str, max_length: int) -> None:
    capacity = max_length - 2
    texts = ["", " ", "a", "北京"[:capacity], " ".join("abcdefg"[i % 7] for i in range(capacity))]
    found, expected = cut(mode, texts, max_length), tokenizer()(texts, None, max_length)
    for name in PARTS:
        np.testing.assert_array_equal(found.inputs[name], expected[name])
        assert found.inputs[name].dtype == expected[name].dtype
    assert found.owner.numpy().tolist() == [*range(len(texts))]


@pytest.mark.parametrize("mode", CUTS)
def test_graphs_invalid_bytes_and_no_texts(mode: str) -> None:
    graph = tf.function(
        lambda texts: CUTS[mode](tokenizer(), texts, 11),
        input_signature=[tf.TensorSpec([None], tf.string)],
    )
    for texts in (HOSTILE, INVALID, []):
        eager = cut(mode, texts, 11)
        for one, other in zip(
            tf.nest.flatten(graph(tf.constant(texts, tf.string))),
            tf.nest.flatten(eager),
            strict=True,
        ):
            np.testing.assert_array_equal(one, other)
    none = cut(mode, [], 11)
    assert none.inputs["input_ids"].shape == (0, 1) and none.owner.shape == (0,)
    readable = cut(mode, [text.decode("utf-8", "replace") for text in INVALID], 11)
    for one, other in zip(
        tf.nest.flatten(cut(mode, INVALID, 11)), tf.nest.flatten(readable), strict=True
    ):
        np.testing.assert_array_equal(one, other)


# ---- logits ---------------------------------------------------------------------------------


def bag_of_ids(batch: dict[str, tf.Tensor]) -> tf.Tensor:
    """A model without weights: three sums over the tokens of each input."""
    ids = tf.cast(batch["input_ids"] * batch["attention_mask"], tf.float32)
    return tf.stack([tf.reduce_sum(tf.sin(ids * (1.0 + i)), 1) for i in range(3)], 1)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 5), max_size=8), st.integers(0, 99))
def test_the_mean_is_that_of_a_loop(counts: list[int], seed: int) -> None:
    owner = np.repeat(np.arange(len(counts)), counts).astype(np.int32)
    logits = np.random.default_rng(seed).normal(size=[len(owner), 3]).astype(np.float32)
    expected = np.zeros([len(counts), 3], np.float32)
    for row in range(len(counts)):
        mine = [logits[w] for w in range(len(owner)) if owner[w] == row]
        expected[row] = sum(mine) / len(mine)
    found = mean_by_owner(tf.constant(logits, tf.float32, logits.shape), owner).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)
    # Of one input the mean is that input's answer, bit for bit.
    np.testing.assert_array_equal(found[np.array(counts) == 1], expected[np.array(counts) == 1])


@pytest.mark.parametrize("at_once", [1, 20, 40, 16_384])
def test_groups_answer_as_one(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_text, "TOKENS_AT_ONCE", at_once)
    largest = 0

    def forward(batch: dict[str, tf.Tensor]) -> tf.Tensor:
        nonlocal largest
        largest = max(largest, int(tf.size(batch["input_ids"])))
        return tf.cast(bag_of_ids(batch), tf.float64)

    inputs = cut("windows", HOSTILE, 11).inputs
    found = forward_in_groups(forward, inputs, [3])
    assert found.dtype == tf.float32
    np.testing.assert_allclose(found, bag_of_ids(inputs), atol=1e-5)
    assert largest <= max(at_once, 11)

    graph = tf.function(lambda inputs: forward_in_groups(bag_of_ids, inputs, [3]))
    np.testing.assert_allclose(graph(inputs), found, atol=1e-5)
    assert forward_in_groups(forward, cut("windows", [], 11).inputs, [3]).shape == (0, 3)


@pytest.mark.parametrize("mode", ["head", *CUTS])
def test_what_is_served_is_what_dev_says(mode: str) -> None:
    task = Classify(["x", "y", "z"], long_text=mode)
    texts = [*HOSTILE, "我的卡" * 3000, "a b c " * 2000]
    labels = [task.label_names[i % 3] for i in range(len(texts))]
    labelled = task.label(make_examples(texts, labels), tokenizer(), 12)
    encoded = labelled.encoded
    rows = tf.RaggedTensor.from_row_splits(encoded.ids, encoded.splits).to_tensor()
    mask = tf.sequence_mask(encoded.lengths, dtype=tf.int32)
    logits = bag_of_ids({"input_ids": rows, "attention_mask": mask}).numpy()
    evaluation = task.evaluate(labelled, logits)

    serve = tf.function(
        lambda texts: task.answer([texts], tokenizer(), 12, bag_of_ids),
        input_signature=[tf.TensorSpec([None], tf.string)],
    )
    served = serve(tf.constant(texts))
    np.testing.assert_allclose(served["scores"], evaluation.outputs["scores"], atol=1e-5)
    outputs = serve.get_concrete_function().structured_outputs
    assert outputs["scores"].shape.as_list() == [None, 3]
    assert {name: out.shape for name, out in serve(tf.constant([], tf.string)).items()} == {
        "label": (0,),
        "score": (0,),
        "scores": (0, 3),
    }
    for row, text in enumerate(texts):
        alone = serve(tf.constant([text]))["scores"].numpy()
        np.testing.assert_allclose(alone[0], served["scores"][row], atol=1e-5)
    # One that only reads the head does not see how such a text goes on.
    ends = serve(tf.constant(["a b c " * 9 + end for end in ("d", "e")]))["scores"].numpy()
    assert np.array_equal(ends[0], ends[1]) == (mode == "head")


# ---- labelled examples ----------------------------------------------------------------------


def rows_of(labelled: EncodedTextDataset) -> list[list[int]]:
    return [part.tolist() for part in np.split(labelled.encoded.ids, labelled.encoded.splits[1:-1])]


@pytest.mark.parametrize("mode", CUTS)
def test_labelled_inputs_are_those_of_the_graph(mode: str) -> None:
    chance = np.random.default_rng(2)
    words = ["a", "bc", "北", "😀", "defg"]
    texts = [" ".join(chance.choice(words, chance.integers(0, 40))) for _ in range(2 * CHUNK + 3)]
    numbers = [f"{i}.5" for i in range(len(texts))]
    task = Regress(long_text=mode)
    labelled = task.label(make_examples(texts, numbers), tokenizer(), 16)
    assert isinstance(labelled, EncodedTextDataset)

    tokens = tokenizer().tokenize(texts).to_list()
    expected = [stretches(mode, of_text, 14) for of_text in tokens]
    assert rows_of(labelled) == [[2, *part, 3] for of_text in expected for part in of_text]
    assert labelled.example_of.tolist() == [i for i, parts in enumerate(expected) for _ in parts]
    assert (np.diff(labelled.example_of) >= 0).all()
    assert len(labelled.encoded) == len(labelled.targets["value"]) == len(labelled.example_of)
    assert len(labelled.examples) == len(texts)
    assert labelled.full_lengths.tolist() == [len(of_text) + 2 for of_text in tokens]
    np.testing.assert_array_equal(labelled.encoded.full_lengths, labelled.encoded.lengths)
    np.testing.assert_array_equal(labelled.targets["value"], labelled.example_of + 0.5)
    np.testing.assert_array_equal(
        task.example_targets(labelled)["value"], np.arange(len(texts)) + 0.5
    )
    assert {a.dtype for a in (labelled.example_of, labelled.full_lengths)} == {np.dtype(np.int32)}


def test_examples_that_are_inputs_stay_as_they_are() -> None:
    task = Classify(["x", "y"])
    examples = make_examples(["a b c d e f g", "b"], ["x", "y"])
    labelled = task.label(examples, tokenizer(), 5)
    np.testing.assert_array_equal(labelled.encoded.ids, encode(examples, tokenizer(), 5).ids)
    logits = np.array([[1.0, 2.0], [3.0, 4.0]], np.float32)
    assert task.pooled(labelled, logits) is logits
    assert task.example_targets(labelled) is labelled.targets


def test_gold_with_columns() -> None:
    task = Multilabel(["x", "y"], long_text="windows")
    labelled = task.label(make_examples(["a " * 9, "", "b " * 5], ["x|y", "", "y"]), tokenizer(), 6)
    assert isinstance(labelled, EncodedTextDataset)
    gold = [[1, 1], [0, 0], [0, 1]]
    assert labelled.targets["active"].tolist() == [gold[row] for row in labelled.example_of]
    assert task.example_targets(labelled)["active"].tolist() == gold
    logits = np.arange(2 * len(labelled.example_of), dtype=np.float32).reshape(-1, 2)
    means = [logits[labelled.example_of == row].mean(axis=0).tolist() for row in range(3)]
    np.testing.assert_allclose(task.pooled(labelled, logits), means)
    assert task.evaluate(labelled, logits).metrics["examples"] == 3
    assert len(task.tuned_on(labelled, logits).thresholds or ()) == 2


def test_the_cache_keeps_each_way_of_cutting_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TFPIPE_CACHE", str(tmp_path))
    examples = make_examples(["a b c d e f g " * 9, "北京"], ["x", "y"])
    firsts = {}
    for number, mode in enumerate(["head", *CUTS], start=1):
        firsts[mode] = Classify(["x", "y"], long_text=mode).label(examples, tokenizer(), 8)
        assert len(list(tmp_path.iterdir())) == number
    for mode, first in firsts.items():
        again = Classify(["x", "y"], long_text=mode).label(examples, tokenizer(), 8)
        assert type(again.encoded) is type(first.encoded)
        for name, values in vars(first.encoded).items():
            np.testing.assert_array_equal(vars(again.encoded)[name], values)
    assert len(list(tmp_path.iterdir())) == 3
    # Proof that the file is what was read.
    (file,) = (f for f in tmp_path.iterdir() if len(np.load(f).get("owner", ())) > 2)
    stored = dict(np.load(file))
    np.savez(file, **(stored | {"ids": stored["ids"] + 1}))
    again = Classify(["x", "y"], long_text="windows").label(examples, tokenizer(), 8)
    np.testing.assert_array_equal(again.encoded.ids, firsts["windows"].encoded.ids + 1)


@pytest.mark.parametrize("mode", CUTS)
def test_pairs_are_refused(mode: str) -> None:
    examples = make_examples(["a", "b"], ["x", "y"], ["c", "d"])
    task = Classify(["x", "y"], long_text=mode)
    for refuse in (
        lambda: task.refuse_unknown(examples),
        lambda: task.label(examples, tokenizer(), 8),
    ):
        with pytest.raises(UserError, match="pairs of texts") as caught:
            refuse()
        assert caught.value.found == (
            f"--long-text {mode} with the columns 'text' and 'text_pair' of train.csv"
        )
        assert "leave out --long-text" in caught.value.fix
    assert Classify(["x", "y"]).label(examples, tokenizer(), 8).targets["label"].tolist() == [0, 1]
