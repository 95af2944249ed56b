"""The in-graph tokenizer: equal to transformers' fast BERT tokenizer, and exportable."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer, BertTokenizerFast

from tests import fuzz_tokenizer as fuzz
from tfpipe.data import unicode_tables
from tfpipe.data.packing import SpecialIds, pack
from tfpipe.data.tokenizer import Tokenizer
from tfpipe.errors import UserError

DATA = Path(__file__).parents[2] / "shared" / "data"
TOY = [*fuzz.SPECIAL, "is", "my", "card", "un", "##aff", "##able", "na", "##ive", "!", "中"]
TEXTS = ["Where is my card!", "", "unaffable naïve", "中中 xyz", "[SEP] is\u0301", " \0 "]


@pytest.fixture(scope="module")
def toy() -> Tokenizer:
    return Tokenizer(TOY)


@pytest.fixture(scope="module", params=["uncased", "cased", "chinese", "every"])
def both(request: pytest.FixtureRequest) -> tuple[Tokenizer, Any]:
    return fuzz.build(request.param)


def assert_equal(ours: Tokenizer, reference: Any, texts: list[Any], max_length: int = 128) -> None:
    wrong = fuzz.mismatches(ours, reference, texts, max_length)
    assert not wrong, f"{len(wrong)} of {len(texts)} differ, first {texts[wrong[0]]!r}"


# ---- equality -------------------------------------------------------------------------------


def test_hostile_strings_are_equal(both):
    assert_equal(*both, list(fuzz.strings(2000, seed=7)))


@settings(max_examples=20, deadline=None)
@given(texts=st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=20))
def test_any_text_is_equal(both, texts):
    assert_equal(*both, texts)


def test_every_truncation_is_equal(both):
    ours, reference = both
    special = SpecialIds(ours.cls_id, ours.sep_id, ours.pad_id)
    texts = [" ".join(["."] * n) for n in (0, 1, 2, 3, 4, 5, 6, 7, 8, 15, 16, 17, 40)]
    firsts = [a for a in texts for _ in texts]
    seconds = [b for _ in texts for b in texts]
    for max_length in (3, 4, 5, 6, 7, 8, 9, 16, 33):
        for first, second in ((texts, None), (firsts, seconds)):
            if max_length == 3 and second:
                continue
            pairs = second and ours.tokenize(second)
            actual = pack(ours.tokenize(first), pairs, special, max_length)
            expected = reference(
                first, second, truncation=True, max_length=max_length, padding=True
            )
            for name, values in actual.items():
                assert values.numpy().tolist() == expected[name], (name, max_length)


def test_only_the_first_words_are_looked_at_when_the_rest_is_cut(both):
    ours, reference = both
    texts = ["", "a", "a b c d e", "unaffable unaffable unaffable", "a " * 500, "한국어 a b c"]
    for max_length in (3, 6):
        actual = ours(texts, max_length=max_length)["input_ids"].numpy().tolist()
        expected = reference(texts, truncation=True, max_length=max_length, padding=True)
        assert actual == expected["input_ids"]


def test_special_tokens_in_text_are_text(toy):
    ids = toy(["[CLS] where [SEP]"])["input_ids"].numpy()[0]
    assert list(ids).count(toy.cls_id) == list(ids).count(toy.sep_id) == 1


def test_a_vocabulary_without_pieces_works():
    tokenizer = Tokenizer([*fuzz.SPECIAL, "a"])
    assert tokenizer.tokenize(["a ab"]).to_list() == [[5, tokenizer.unk_id]]


def test_a_word_is_looked_at_up_to_100_characters():
    tokenizer = Tokenizer([*fuzz.SPECIAL, "a", "##a"])
    ids = tokenizer.tokenize(["a" * 100, "a" * 101, "a" * 50 + "\u0301" + "a" * 50]).to_list()
    assert [len(row) for row in ids] == [100, 1, 100]
    assert ids[1] == [tokenizer.unk_id]


def test_reordered_marks_take_the_sources_huggingface_gives_them():
    # U+302E is not stripped; its class, 224, puts it in front of the stripped U+0301, of 230.
    tokenizer = Tokenizer([*fuzz.SPECIAL, "a", "##\u302e", "##b"])
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
    eager = toy(TEXTS)
    graph = tf.function(lambda texts: toy(texts))(tf.constant(TEXTS))
    dataset = tf.data.Dataset.from_tensor_slices(TEXTS).batch(len(TEXTS)).map(toy)
    for name, values in eager.items():
        assert values.dtype == tf.int32
        assert (values == graph[name]).numpy().all()
        assert (values == next(iter(dataset))[name]).numpy().all()
    ragged = tf.function(toy.tokenize_with_offsets)(tf.constant(TEXTS))
    for one, other in zip(toy.tokenize_with_offsets(TEXTS), ragged, strict=True):
        assert isinstance(one, tf.RaggedTensor) and one.dtype == tf.int32
        assert one.to_list() == other.to_list()


def test_an_empty_batch_is_an_empty_batch(toy):
    assert toy([])["input_ids"].shape[0] == toy([], [])["input_ids"].shape[0] == 0
    assert toy.tokenize_with_offsets([])[1].to_list() == []
    assert toy([""])["input_ids"].numpy().tolist() == [[toy.cls_id, toy.sep_id]]


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
    tokenizer = Tokenizer(fuzz.vocabulary_of("uncased"))
    module = Exported(tokenizer)
    expected = {k: v.numpy().tolist() for k, v in tokenizer(TEXTS).items()}
    values = [x.values.numpy().tolist() for x in tokenizer.tokenize_with_offsets(TEXTS)]
    expected |= dict(zip(("ids", "start", "end"), values, strict=True))
    signatures = {"serving_default": module.inputs, "offsets": module.offsets}
    tf.saved_model.save(module, str(tmp_path / "model"), signatures)
    assert not list((tmp_path / "model" / "assets").iterdir())
    # One vocabulary and one set of tables, whatever the number of signatures.
    assert (tmp_path / "model" / "saved_model.pb").stat().st_size < 2_000_000

    done = subprocess.run(
        [sys.executable, "-c", LOAD, str(tmp_path / "model"), json.dumps(TEXTS)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    loaded, old, wanted = json.loads(done.stdout.splitlines()[-1])
    assert loaded == expected
    assert old == expected["input_ids"]
    assert wanted == []


# ---- files ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("vocabulary", "rules"),
    [
        (TOY, (True, None, True)),
        ([t for t in TOY if t != "[MASK]"], (False, None, True)),
        ([*TOY, "is"], (True, False, False)),
    ],
)
def test_transformers_loads_what_is_saved(tmp_path, vocabulary, rules):
    tokenizer = Tokenizer(vocabulary, *rules)
    tokenizer.save(tmp_path)
    for loader in (BertTokenizerFast, AutoTokenizer):
        reference = loader.from_pretrained(tmp_path)
        assert isinstance(reference, BertTokenizerFast)
        assert_equal(tokenizer, reference, [*TEXTS, "NAÏVE 中x İs", "is [UNK]"])
    assert Tokenizer.from_folder(tmp_path).fingerprint == tokenizer.fingerprint
    # Older readers know nothing of tokenizer.json.
    (tmp_path / "tokenizer.json").unlink()
    assert_equal(tokenizer, BertTokenizerFast.from_pretrained(tmp_path), TEXTS)


def test_a_folder_with_tokenizer_json_alone_is_read(tmp_path, toy):
    cased = Tokenizer(TOY, lower_case=False)
    cased.save(tmp_path)
    (tmp_path / "vocab.txt").unlink()
    assert Tokenizer.from_folder(tmp_path).fingerprint == cased.fingerprint
    (tmp_path / "tokenizer_config.json").unlink()
    assert Tokenizer.from_folder(tmp_path).fingerprint == cased.fingerprint
    assert cased.fingerprint != toy.fingerprint != Tokenizer([*TOY, "more"]).fingerprint


def test_vocabulary_lines_end_at_line_feeds_only(tmp_path):
    vocabulary = [*fuzz.SPECIAL, "is", "a\u2028b", "\x85", "my ", "", "is", "##x"]
    (tmp_path / "vocab.txt").write_bytes("\n".join(vocabulary).encode())
    tokenizer = Tokenizer.from_folder(tmp_path)
    assert tokenizer.vocabulary == vocabulary
    assert tokenizer.tokenize(["isx my"]).to_list() == [[10, 11, tokenizer.unk_id]]


def edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    ("file", "changes", "found"),
    [
        ("tokenizer_config.json", {"tokenizer_class": "RobertaTokenizer"}, "RobertaTokenizer"),
        ("tokenizer_config.json", {"cls_token": "<s>"}, "<s>"),
        ("tokenizer_config.json", {"do_lower_case": False}, "lower_case=False"),
        ("tokenizer.json", {"model": {"type": "BPE"}}, "BPE"),
        ("tokenizer.json", {"normalizer": {"type": "NFC"}}, "NFC"),
        ("tokenizer.json", {"pre_tokenizer": None}, "None"),
        ("tokenizer.json", {"added_tokens": [{"content": "newword"}]}, "newword"),
    ],
)
def test_a_tokenizer_that_is_not_berts_is_refused(tmp_path, toy, file, changes, found):
    toy.save(tmp_path)
    edit(tmp_path / file, **changes)
    with pytest.raises(UserError) as error:
        Tokenizer.from_folder(tmp_path)
    assert found in error.value.found


def test_a_broken_folder_is_refused(tmp_path, toy):
    with pytest.raises(UserError, match="no vocabulary"):
        Tokenizer.from_folder(tmp_path)
    toy.save(tmp_path)
    (tmp_path / "vocab.txt").write_text("\n".join(TOY[::-1]))
    with pytest.raises(UserError, match="contradict"):
        Tokenizer.from_folder(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(UserError, match="JSON"):
        Tokenizer.from_folder(tmp_path)
    with pytest.raises(UserError, match=r"\[CLS\], \[SEP\]"):
        Tokenizer(["[PAD]", "[UNK]"])
    with pytest.raises(UserError, match="line break"):
        Tokenizer([*TOY, "a\nb"])


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


# ---- tables and long runs -------------------------------------------------------------------


def test_shipped_tables_are_the_ones_that_were_proven():
    # Changes with `python -m tfpipe.data.unicode_tables` only: then prove the new ones again.
    assert unicode_tables.digest() == (
        "7d129ace17943d43ed25f298de34c89900ee232447fba166f0d57f076e1d578b"
    )


@pytest.mark.slow
def test_tables_are_what_the_tokenizers_library_says():
    learnt = unicode_tables.learn()
    shipped = unicode_tables.load()
    assert learnt.keys() == shipped.keys()
    for name, facts in learnt.items():
        np.testing.assert_array_equal(facts, shipped[name], name)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["every", "every-cased", "every-accents", "every-stripped"])
def test_every_code_point_is_equal(kind):
    ours, reference = fuzz.build(kind)
    texts = [f"a{chr(c)}b" for c in range(sys.maxunicode + 1) if not 0xD800 <= c < 0xE000]
    for first in range(0, len(texts), 20_000):
        assert_equal(ours, reference, texts[first : first + 20_000])


@pytest.mark.slow
@pytest.mark.parametrize("kind", fuzz.KINDS)
def test_200_000_hostile_strings_are_equal(kind):
    ours, reference = fuzz.build(kind)
    texts = list(fuzz.strings(200_000, seed=11))
    lengths = random.Random(11)
    for first in range(0, len(texts), 500):
        max_length = lengths.choice([4, 5, 7, 16, 33, 128, 512])
        assert_equal(ours, reference, texts[first : first + 500], max_length)


@pytest.mark.slow
def test_every_real_text_is_equal():
    if not DATA.is_dir():
        pytest.skip("the data sets are not beside the checkout")
    files = sorted(p for p in DATA.rglob("*") if p.suffix in (".tsv", ".conll", ".json"))
    for kind in ("uncased", "chinese", "every"):
        ours, reference = fuzz.build(kind)
        for file in files:
            content = file.read_text(encoding="utf-8")
            if file.suffix == ".json":
                content = "\n".join(json_strings(json.loads(content)))
            texts = sorted({cell for line in content.split("\n") for cell in line.split("\t")})
            for first in range(0, len(texts), 1000):
                assert_equal(ours, reference, texts[first : first + 1000])


def json_strings(node: Any) -> list[str]:
    """All strings below a node of JSON."""
    if isinstance(node, str):
        return [unicodedata.normalize("NFC", node), node]
    children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else []
    return [text for child in children for text in json_strings(child)]
