"""Models by name: two that pip installs, `tiny`, a folder or a hub id."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tfpipe.data.tokenizer import Tokenizer, WordPiece
from tfpipe.errors import UserError, did_you_mean
from tfpipe.model import pretrained, trimmed
from tfpipe.model.checkpoint_folder import check_limits, read_pooling
from tfpipe.model.checkpoint_folder import read_settings as read_folder_settings
from tfpipe.model.encoder import FIRST, MEAN
from tfpipe.model.head import Head
from tfpipe.model.multilingual import multilingual_folder
from tfpipe.model.starter import starter_folder
from tfpipe.model.text_model import TextModel
from tfpipe.model.transformers_classes import BertConfig

# The files of a BERT; pickles and code are never downloaded.
HUB_FILES = [
    "config.json",
    "model.safetensors",
    "model.safetensors.index.json",
    "model-*.safetensors",
    "tf_model.h5",
    "vocab.txt",
    "tokenizer.json",
    "added_tokens.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "sentencepiece.bpe.model",
    "modules.json",
    "1_Pooling/config.json",
]
# Another name of FIRST: the first token is [CLS].
CLS = "cls"
NAMES = "starter, multilingual, tiny"
SPECIAL_TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
TINY_WORDS = 4000
# What a `tiny` model's config.json says of its size.
TINY = {
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 256,
}


def open_model(
    name: str,
    label_names: Sequence[str],
    texts: Iterable[str],
    max_length: int,
    head: Head | None = None,
    trim: bool = False,
) -> TextModel:
    """Open a model for training.

    Args:
        name: `starter`, `multilingual`, `tiny`, a folder or a hub id.
        label_names: Names of the head's columns.
        texts: The texts that `tiny` makes its vocabulary from, and that a vocabulary is trimmed to.
        max_length: Longest input in tokens.
        head: The head; None for one label a text.
        trim: Whether to leave out the tokens of scripts that the texts do not have.

    Raises:
        UserError: There is no such model, or it cannot take these inputs.
    """
    if name == "tiny":
        return make_tiny(label_names, texts, head=head)
    folder = find_folder(name)
    check_limits(folder, read_folder_settings(folder), max_length)
    change = functools.partial(trimmed.trim, texts=texts) if trim else None
    return pretrained.load(folder, label_names, head, change)


def read_settings(name: str) -> dict[str, Any]:
    """The config.json of a model by name; of `tiny` its size. Raises UserError."""
    return dict(TINY) if name == "tiny" else read_folder_settings(find_folder(name))


def choose_pooling(pooling: str, name: str, head: Head | None = None) -> str:
    """Resolve `--pooling`: FIRST or MEAN.

    Args:
        pooling: The setting: `auto`, FIRST, CLS or MEAN.
        name: The model, as `open_model` takes it.
        head: The head; None for one label a text.
    """
    if pooling != "auto":
        return FIRST if pooling == CLS else pooling
    # Untrained, the mean is the better vector of a text (Reimers and Gurevych 2019, table 6). The
    # rates of the named models were chosen for other heads with the first token, with which
    # transformers' own class computes the same logits.
    usual = MEAN if head and head.kind == "embedding" else FIRST
    named = name in ("tiny", "starter", "multilingual")
    return usual if named else read_pooling(find_folder(name), usual)


def start_pooler(model: TextModel) -> TextModel:
    """Set the pooler of a sentence-transformers checkpoint to the identity, for training.

    Such a checkpoint was trained on the mean of its token vectors, and the pooler in its files was
    not. Without it the sample data reach in three epochs what they reach in six with it.
    """
    of_sentences = Path(model.config.name_or_path, "modules.json").is_file()
    return start_pooler_as_identity(model) if of_sentences else model


def start_pooler_as_identity(model: TextModel) -> TextModel:
    """Set the pooler so that the head gets tanh of the pooled row itself at the start."""
    if model.backbone.pooler is None:
        return model
    pooler = model.backbone.pooler.dense
    pooler.kernel.assign(np.eye(pooler.kernel.shape[0], dtype=np.float32))
    pooler.bias.assign(np.zeros(pooler.bias.shape, np.float32))
    fresh = sorted({*model.fresh, "pooler"})
    return replace(model, origin=f"{model.origin}; pooler reset to the identity", fresh=fresh)


def find_folder(name: str) -> Path:
    """Find the folder of a pretrained model; raises UserError where there is none."""
    if name == "starter":
        return starter_folder()
    if name == "multilingual":
        return multilingual_folder()
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    if folder.exists() or name.startswith((".", "/", "~")) or name.count("/") > 1:
        raise UserError("the model is not a folder", name, f"give {NAMES}, a folder, or a hub id")
    return _from_hub(name)


def _from_hub(name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError

    hint = did_you_mean(name, NAMES.split(", "))
    try:
        return Path(snapshot_download(name, allow_patterns=HUB_FILES))
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise UserError(
            "there is no such model",
            f"{name!r}: not a folder, and not on the hub ({type(error).__name__})",
            f"{hint}give {NAMES}, a folder, or a hub id",
        ) from None
    except Exception as error:  # requests, httpx, OS and hub errors share no base class
        raise UserError(
            "the model hub cannot be reached, and the model is not in its local cache",
            f"{name!r}: not a folder here; {type(error).__name__}",
            f"{hint}connect to the network, or give {NAMES}, or a downloaded folder",
        ) from None


def make_tiny(
    label_names: Sequence[str],
    texts: Iterable[str],
    dropout: float = 0.1,
    head: Head | None = None,
) -> TextModel:
    """Make a two-layer BERT with random weights and a vocabulary learnt from the texts.

    Args:
        label_names: Names of the head's columns.
        texts: The texts of the vocabulary.
        dropout: Dropout of hidden values and attention weights.
        head: The head; None for one label a text.
    """
    tokenizer = Tokenizer(WordPiece(learn_vocabulary(texts)))
    config = BertConfig(
        vocab_size=len(tokenizer.vocabulary),
        **TINY,
        # With BERT's 0.02 narrow layers have outputs near 0 and learn nothing for epochs.
        initializer_range=0.05,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
    )
    model = pretrained.build(config, tokenizer, label_names, head)
    return start_pooler_as_identity(model)


def learn_vocabulary(texts: Iterable[str]) -> list[str]:
    """Make a vocabulary: special tokens, all characters (also as `##`), and frequent words.

    Equal texts give equal vocabularies, which the WordPiece trainer of `tokenizers` does not
    guarantee: it breaks ties at random.
    """
    from tokenizers.normalizers import BertNormalizer
    from tokenizers.pre_tokenizers import BertPreTokenizer

    normalizer, splitter = BertNormalizer(), BertPreTokenizer()
    words: Counter[str] = Counter()
    for text in texts:
        pieces = splitter.pre_tokenize_str(normalizer.normalize_str(text))
        words.update(piece for piece, _ in pieces)
    characters = sorted({character for word in words for character in word})
    frequent = sorted((-count, word) for word, count in words.items() if count > 1)
    tokens = [*SPECIAL_TOKENS, *characters, *(f"##{character}" for character in characters)]
    tokens += [word for _, word in frequent if len(word) > 1][:TINY_WORDS]
    return tokens
