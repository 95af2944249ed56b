"""The in-graph tokenizer: equal to transformers' fast BERT tokenizer, and exportable."""

from __future__ import annotations

import json
import random
import sys
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import fuzz_tokenizer as fuzz
from tfpipe import fork_server
from tfpipe.data.tokenizer import Tokenizer, WordPiece
from tfpipe.data.tokenizer.bert_inputs import pack
from tfpipe.errors import UserError

DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="module")
def toy() -> Tokenizer:
    return Tokenizer(WordPiece(fuzz.TOY))


@pytest.fixture(
    scope="module",
    params=[
        *("uncased", "cased", "every", "unigram"),
        # Its settings are those of `every`.
        pytest.param("chinese", marks=pytest.mark.slow),
    ],
)
def both(request: pytest.FixtureRequest) -> tuple[Tokenizer, Any]:
    return fuzz.build(request.param)


@pytest.fixture
def wordpieces(both, request: pytest.FixtureRequest) -> tuple[Tokenizer, Any]:
    # Truncation is the same for all kinds, but each length needs a graph of its own.
    if request.node.callspec.params["both"] == "unigram":
        pytest.skip("truncated by the slow tests")
    return both


# ---- equality -------------------------------------------------------------------------------


def test_hostile_strings_are_equal(both):
    fuzz.assert_equal(*both, list(fuzz.texts_for(both[0], 1000, seed=7)))


@settings(max_examples=20, deadline=None)
@given(texts=st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=20))
def test_any_text_is_equal(both, texts):
    fuzz.assert_equal(*both, texts)


def test_every_truncation_is_equal(wordpieces):
    ours, reference = wordpieces
    special = ours.frame
    texts = [" ".join(["."] * n) for n in (0, 1, 2, 3, 4, 5, 6, 7, 8, 15, 16, 17, 40)]
    firsts = [a for a in texts for _ in texts]
    seconds = [b for _ in texts for b in texts]
    for max_length in (3, 4, 5, 6, 7, 8, 9, 16, 33):
        for first, second in ((texts, None), (firsts, seconds)):
            if second and max_length <= ours.frame.pair_specials:
                continue
            pairs = second and ours.tokenize(second)
            actual = pack(ours.tokenize(first), pairs, special, max_length)
            expected = reference(
                first,
                second,
                truncation=True,
                max_length=max_length,
                padding=True,
                return_token_type_ids=True,
            )
            for name, values in actual.items():
                assert values.numpy().tolist() == expected[name], (name, max_length)


def test_only_the_first_words_are_looked_at_when_the_rest_is_cut(wordpieces):
    ours, reference = wordpieces
    texts = ["", "a", "a b c d e", "unaffable unaffable unaffable", "a " * 500, "한국어 a b c"]
    for max_length in (3, 6):
        actual = ours(texts, max_length=max_length)["input_ids"].numpy().tolist()
        expected = reference(texts, truncation=True, max_length=max_length, padding=True)
        assert actual == expected["input_ids"]


def test_special_tokens_in_text_are_text(toy):
    ids = toy(["[CLS] where [SEP]"])["input_ids"].numpy()[0]
    assert list(ids).count(toy.frame.cls) == list(ids).count(toy.frame.sep) == 1


def test_a_vocabulary_without_pieces_works():
    tokenizer = Tokenizer(WordPiece([*fuzz.SPECIAL, "a"]))
    assert tokenizer.tokenize(["a ab"]).to_list() == [[5, tokenizer.unk_id]]


def test_a_word_is_looked_at_up_to_100_characters():
    tokenizer = Tokenizer(WordPiece([*fuzz.SPECIAL, "a", "##a"]))
    ids = tokenizer.tokenize(["a" * 100, "a" * 101, "a" * 50 + "\u0301" + "a" * 50]).to_list()
    assert [len(row) for row in ids] == [100, 1, 100]
    assert ids[1] == [tokenizer.unk_id]


def test_reordered_marks_take_the_sources_huggingface_gives_them():
    # U+302E is not stripped; its class, 224, puts it in front of the stripped U+0301, of 230.
    tokenizer = Tokenizer(WordPiece([*fuzz.SPECIAL, "a", "##\u302e", "##b"]))
    ids, start, end = (x.to_list()[0] for x in tokenizer.tokenize_with_offsets(["a\u0301\u302eb"]))
    assert (ids, start, end) == ([5, 6, 7], [0, 1, 3], [1, 2, 4])


def test_invalid_utf8_is_counted_as_python_decodes_it(toy):
    broken = [b"is \xff\xffcard", b"\xe4\xb8is", b"\xed\xa0\x80 my", b"\xf0\x9f\x98", b"is\xc3"]
    ids, start, end = (x.to_list() for x in toy.tokenize_with_offsets(broken))
    plain = [b.decode("utf-8", "replace") for b in broken]
    assert ids == toy.tokenize(plain).to_list()
    words = [
        [text[a:b] for a, b in zip(*places, strict=True)]
        for text, *places in zip(plain, start, end, strict=True)
    ]
    assert words == [["is", "card"], ["is"], ["my"], [], ["is"]]


# ---- one graph everywhere -------------------------------------------------------------------


def test_graphs_datasets_and_eager_calls_agree(toy):
    eager = toy(fuzz.TEXTS)
    graph = tf.function(lambda texts: toy(texts))(tf.constant(fuzz.TEXTS))
    dataset = tf.data.Dataset.from_tensor_slices(fuzz.TEXTS).batch(len(fuzz.TEXTS)).map(toy)
    batch = next(iter(dataset))
    for name, values in eager.items():
        assert values.dtype == tf.int32
        assert (values == graph[name]).numpy().all()
        assert (values == batch[name]).numpy().all()
    ragged = tf.function(toy.tokenize_with_offsets)(tf.constant(fuzz.TEXTS))
    for one, other in zip(toy.tokenize_with_offsets(fuzz.TEXTS), ragged, strict=True):
        assert isinstance(one, tf.RaggedTensor) and one.dtype == tf.int32
        assert one.to_list() == other.to_list()


def test_an_empty_batch_is_an_empty_batch(toy):
    assert toy([])["input_ids"].shape[0] == toy([], [])["input_ids"].shape[0] == 0
    assert toy.tokenize_with_offsets([])[1].to_list() == []
    assert toy([""])["input_ids"].numpy().tolist() == [[toy.frame.cls, toy.frame.sep]]


class Exported(tf.Module):
    """What an exporter builds: a module that owns the tokenizer, with two signatures."""

    def __init__(self, tokenizer: Tokenizer):
        super().__init__()
        self.tokenizer = tokenizer

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def inputs(self, text):
        return self.tokenizer(text)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def offsets(self, text):
        ids, start, end = self.tokenizer.tokenize_with_offsets(text)
        return {"ids": ids.values, "start": start.values, "end": end.values}


LOAD = """
import json, sys
import tensorflow as tf
loaded = tf.saved_model.load(sys.argv[1])
texts = json.loads(sys.argv[2])
result = dict(loaded.signatures["serving_default"](text=tf.constant(texts)))
result |= loaded.signatures["offsets"](text=tf.constant(texts))
with tf.compat.v1.Session(graph=tf.Graph()) as session:
    graph = tf.compat.v1.saved_model.load(session, ["serve"], sys.argv[1])
    signature = graph.signature_def["serving_default"]
    old = session.run(
        signature.outputs["input_ids"].name, {signature.inputs["text"].name: texts}
    )
wanted = {"tfpipe", "transformers", "tokenizers", "tensorflow_text"} & set(sys.modules)
result = {name: value.numpy().tolist() for name, value in result.items()}
print(json.dumps([result, old.tolist(), sorted(wanted)]))
"""


def test_an_export_loads_with_tensorflow_alone(tmp_path):
    tokenizer = Tokenizer(WordPiece(fuzz.vocabulary_of("uncased")))
    module = Exported(tokenizer)
    expected = {k: v.numpy().tolist() for k, v in tokenizer(fuzz.TEXTS).items()}
    values = [x.values.numpy().tolist() for x in tokenizer.tokenize_with_offsets(fuzz.TEXTS)]
    expected |= dict(zip(("ids", "start", "end"), values, strict=True))
    signatures = {"serving_default": module.inputs, "offsets": module.offsets}
    tf.saved_model.save(module, str(tmp_path / "model"), signatures)
    assert not list((tmp_path / "model" / "assets").iterdir())
    # One vocabulary and one set of tables, whatever the number of signatures.
    assert (tmp_path / "model" / "saved_model.pb").stat().st_size < 2_000_000

    (tmp_path / "load.py").write_text(LOAD, encoding="utf-8")
    command = [str(tmp_path / "load.py"), str(tmp_path / "model"), json.dumps(fuzz.TEXTS)]
    done = fork_server.run(command, fork_server.TENSORFLOW)
    assert done.returncode == 0, done.stderr
    loaded, old, wanted = json.loads(done.stdout.splitlines()[-1])
    assert loaded == expected
    assert old == expected["input_ids"]
    assert wanted == []


# ---- mistakes -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        (["a", None], "None (NoneType) as number 1"),
        (np.array(["a", float("nan")], object), "nan (float) as number 1"),
        (["a", "\ud800"], "number 1"),
        ("a single text", "a single text"),
        (7, "7 (int)"),
        (lambda: tf.constant("scalar"), "shape ()"),
        (lambda: tf.constant([1]), "int32"),
    ],
)
def test_what_is_no_list_of_texts_is_refused(toy, texts, found):
    texts = texts() if callable(texts) else texts
    with pytest.raises(UserError) as error:
        toy.tokenize(texts)
    assert found in error.value.found


def test_a_maximum_length_without_room_is_refused(toy):
    with pytest.raises(UserError, match="room"):
        toy(["a"], max_length=2)
    with pytest.raises(UserError, match="room"):
        toy(["a"], ["b"], max_length=3)


# ---- long runs ------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("kind", [kind for kind in fuzz.ALL_KINDS if "every" in kind])
def test_every_code_point_is_equal(kind):
    ours, reference = fuzz.build(kind)
    texts = [f"a{chr(c)}b" for c in range(sys.maxunicode + 1) if not 0xD800 <= c < 0xE000]
    for first in range(0, len(texts), 20_000):
        fuzz.assert_equal(ours, reference, texts[first : first + 20_000])


@pytest.mark.slow
@pytest.mark.parametrize("kind", fuzz.ALL_KINDS)
def test_200_000_hostile_strings_are_equal(kind):
    ours, reference = fuzz.build(kind)
    texts = list(fuzz.texts_for(ours, 200_000, seed=11))
    lengths = random.Random(11)
    for first in range(0, len(texts), 500):
        max_length = lengths.choice([5, 6, 7, 16, 33, 128, 512])
        fuzz.assert_equal(ours, reference, texts[first : first + 500], max_length)


@pytest.mark.slow
def test_every_real_text_is_equal():
    if not DATA.is_dir():
        pytest.skip("the data sets are not beside the checkout")
    files = sorted(p for p in DATA.rglob("*") if p.suffix in (".tsv", ".conll", ".json"))
    for kind in ("uncased", "chinese", "every", "unigram-every"):
        ours, reference = fuzz.build(kind)
        for file in files:
            content = file.read_text(encoding="utf-8")
            if file.suffix == ".json":
                content = "\n".join(json_strings(json.loads(content)))
            texts = sorted({cell for line in content.split("\n") for cell in line.split("\t")})
            for first in range(0, len(texts), 1000):
                fuzz.assert_equal(ours, reference, texts[first : first + 1000])


def json_strings(node: Any) -> list[str]:
    """All strings below a node of JSON."""
    if isinstance(node, str):
        return [unicodedata.normalize("NFC", node), node]
    children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else []
    return [text for child in children for text in json_strings(child)]
