"""Inputs of one text and of two, framed by the special tokens of BERT or of XLM-R."""

from __future__ import annotations

import pytest
import tensorflow as tf
from transformers import XLMRobertaTokenizerFast

from tests.support.multilingual import write_tokenizer
from tfpipe.data.tokenizer.bert_inputs import pack
from tfpipe.data.tokenizer.frame import Frame

BERT = Frame(cls=7, sep=8, pad=9)
XLMR = Frame(cls=0, sep=2, pad=1, separators=2, second_type=0)
LENGTHS = (0, 1, 2, 3, 4, 5, 6, 7, 8, 15, 16, 17, 40)


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> XLMRobertaTokenizerFast:
    folder = tmp_path_factory.mktemp("tokenizer")
    write_tokenizer(folder)
    return XLMRobertaTokenizerFast.from_pretrained(folder)


def test_special_tokens_are_counted() -> None:
    assert (BERT.text_specials, BERT.pair_specials) == (2, 3)
    assert (XLMR.text_specials, XLMR.pair_specials) == (2, 4)


def test_texts_of_either_frame() -> None:
    first, second = tf.ragged.constant([[20, 21], []]), tf.ragged.constant([[30], [31, 32, 33]])
    bert, xlmr = pack(first, second, BERT, 9), pack(first, second, XLMR, 9)
    assert bert["input_ids"].numpy().tolist() == [[7, 20, 21, 8, 30, 8], [7, 8, 31, 32, 33, 8]]
    assert bert["token_type_ids"].numpy().tolist() == [[0, 0, 0, 0, 1, 1], [0, 0, 1, 1, 1, 1]]
    assert xlmr["input_ids"].numpy().tolist() == [
        [0, 20, 21, 2, 2, 30, 2],
        [0, 2, 2, 31, 32, 33, 2],
    ]
    assert not xlmr["token_type_ids"].numpy().any()
    for frame, expected in ((BERT, [[7, 20, 21, 8], [7, 8, 9, 9]]), (XLMR, [[0, 20, 21, 2]])):
        single = pack(first, None, frame, 9)
        assert single["input_ids"].numpy().tolist()[: len(expected)] == expected
        assert single["attention_mask"].numpy().tolist() == [[1, 1, 1, 1], [1, 1, 0, 0]]
        assert not single["token_type_ids"].numpy().any()


@pytest.mark.parametrize("max_length", [3, 4, 5, 6, 7, 8, 9, 10, 11, 16, 17, 33, 96])
def test_every_truncation_is_as_in_xlmr(
    reference: XLMRobertaTokenizerFast, max_length: int
) -> None:
    texts = [" ".join(["a"] * length) for length in LENGTHS]
    firsts, seconds = [a for a in texts for _ in texts], [b for _ in texts for b in texts]

    def ids_of(texts: list[str]) -> tf.RaggedTensor:
        return tf.ragged.constant(reference(texts, add_special_tokens=False)["input_ids"], tf.int32)

    for first, second in ((texts, None), (firsts, seconds)):
        if max_length <= (XLMR.pair_specials if second else XLMR.text_specials):
            continue
        found = pack(ids_of(first), second and ids_of(second), XLMR, max_length)
        expected = reference(
            first,
            second,
            truncation=True,
            max_length=max_length,
            padding=True,
            return_token_type_ids=True,
        )
        for name, values in found.items():
            assert values.numpy().tolist() == expected[name], name
