"""A small model folder like those of multilingual BERTs on the hub: XLM-R's tokenizer, pad id 1."""

from __future__ import annotations

import base64
import json
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tests.support import data
from tests.support.built_once import build_once
from tfpipe.data.tokenizer.unigram import charsmap

SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]
MASK = "<mask>"
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
SIGNS = ".,!?:;'\"()-[]<>/&。，！？、·🙂😀👍"
SENTENCES = [
    "Where is my card? I want my money back, please.",
    "The weather in Rome is fine today; it rained in New York.",
    "Ann Lee met Bob (from London) at 5:30.",
    "我的卡在哪里？我要退款。",
    "今天北京的天气很好，上海在下雨。",
    "李明和王芳在中国人民银行见面。",
    "欧阳雪去了香港工作，阿里木·买买提看呼和浩特",
]
# Replacements of XLM-R's normalisation: spaces, invisible characters, wide forms, marks.
REPLACED = {"\u2581": " ", "\u3000": " ", "\u00a0": " ", "\u200b": " ", "\t": " ", "\n": " "}
REPLACED |= {"\u200d": " ", "\ufe0f": "", "\x07": "", "…": "...", "ﬁ": "fi", "e\u0301": "é"}
REPLACED |= {chr(code): chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}
# As in the checkpoint of e5, the embedding has more rows than there are pieces.
SPARE_ROWS = 3
CONFIG = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 128,
    "initializer_range": 0.05,
    "pad_token_id": 1,
    "bos_token_id": 0,
    "eos_token_id": 2,
}


def multilingual_folder() -> Path:
    """Return a folder with weights, built once for all tests; it is for reading."""
    return build_once("multilingual_model", write_model)


def write_model(folder: Path) -> None:
    """Write a BERT with random weights, under the names of PyTorch, and the tokenizer."""
    import tensorflow as tf
    from safetensors.numpy import save_file
    from transformers import BertConfig, TFBertModel

    from tfpipe.library_internals import as_pytorch_weight

    tokenizer = write_tokenizer(folder)
    tf.keras.utils.set_random_seed(1)
    config = BertConfig(vocab_size=tokenizer.get_vocab_size() + SPARE_ROWS, **CONFIG)
    config.architectures = ["BertModel"]
    bert = TFBertModel(config)
    bert.build_in_name_scope()
    weights = (as_pytorch_weight(weight.name, weight.numpy()) for weight in bert.weights)
    state = {name.removeprefix("bert."): np.ascontiguousarray(w) for name, w in weights}
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    config.save_pretrained(folder)


def write_tokenizer(folder: Path, texts: Sequence[str] | None = None) -> Any:
    """Write the tokenizer's files as transformers does, and return the one of `tokenizers`."""
    from transformers import XLMRobertaTokenizerFast

    made = make_tokenizer(learn_pieces(TEXTS if texts is None else texts))
    XLMRobertaTokenizerFast(tokenizer_object=made).save_pretrained(str(folder))
    return made


def make_tokenizer(pieces: Sequence[tuple[str, float]]) -> Any:
    """Make a tokenizer of the library `tokenizers`, laid out like XLM-R's."""
    from tokenizers import AddedToken, Tokenizer, models, processors

    tokenizer = Tokenizer(models.Unigram([*pieces], unk_id=SPECIAL.index("<unk>")))
    parts = json.loads(tokenizer.to_str())
    table = base64.b64encode(charsmap.build(REPLACED)).decode()
    parts["normalizer"] = {"type": "Precompiled", "precompiled_charsmap": table}
    space = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always"}
    parts["pre_tokenizer"] = {
        "type": "Sequence",
        "pretokenizers": [{"type": "WhitespaceSplit"}, space | {"split": True}],
    }
    parts["decoder"] = space | {"split": True}
    tokenizer = Tokenizer.from_str(json.dumps(parts))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[("<s>", 0), ("</s>", 2)],
    )
    tokenizer.add_special_tokens([*SPECIAL, AddedToken(MASK, lstrip=True)])
    return tokenizer


def learn_pieces(texts: Sequence[str]) -> list[tuple[str, float]]:
    """Make pieces with scores: special tokens, all characters, frequent parts of words, <mask>.

    Equal texts give equal pieces, which the trainer of `tokenizers` does not guarantee. All sums of
    the scores are exact.
    """
    from tokenizers import normalizers, pre_tokenizers

    normalizer = normalizers.Precompiled(charsmap.build(REPLACED))
    metaspace = pre_tokenizers.Metaspace()
    splitter = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), metaspace])
    counts = Counter(["\u2581", *LETTERS, *SIGNS])
    for text in texts:
        for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(text)):
            starts = range(len(word))
            counts.update(
                word[i:j] for i in starts for j in range(i + 1, min(i + 8, len(word)) + 1)
            )
    kept = {piece: n for piece, n in counts.items() if len(piece) == 1 or n > 2 and _is_run(piece)}
    total = sum(kept.values())
    ordered = sorted(kept, key=lambda piece: (-kept[piece], piece))
    scores = [round(math.log(kept[piece] / total) * 2**8) / 2**8 for piece in ordered]
    special = [(token, 0.0) for token in SPECIAL]
    return [*special, *zip(ordered, scores, strict=True), (MASK, 0.0)]


def _is_run(piece: str) -> bool:
    """Whether a piece is letters of one script, as all pieces of XLM-R are; few Chinese ones."""
    letters = piece.removeprefix("\u2581")
    return letters.isalnum() and (letters.isascii() or len(letters) < 3 and min(letters) >= "一")


# The words of the data files of the tests, and a few sentences of both languages.
TEXTS = [*SENTENCES, *data.FILLERS, *data.PEOPLE, *data.PLACES] * 3
TEXTS += [word for words in data.WORDS.values() for word in words] * 3
