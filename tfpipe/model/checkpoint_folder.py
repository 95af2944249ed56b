"""What a checkpoint's folder has beside its weights: configuration, vocabulary, and their fit."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfpipe.data.tokenizer import Tokenizer, WordPiece
from tfpipe.data.tokenizer.frame import Frame
from tfpipe.data.tokenizer.wordpiece.vocabulary import read_folder
from tfpipe.errors import UserError
from tfpipe.io.git_lfs import refuse_pointers_in
from tfpipe.model.encoder import FIRST, MEAN
from tfpipe.model.stored_weights import GOOGLE, WEIGHTS, WORD_EMBEDDING, StoredWeights, find_weights
from tfpipe.text_display import list_few

# `pooling` in the config.json of a folder that continues a model by name: as for that one.
AUTO = "auto"
PICKLES = ("pytorch_model*.bin", "*.pkl", "*.pickle", "*.pt", "*.pth", "*.ckpt")
CONFIGS = ("config.json", "bert_config.json")
# A configuration with these and without EMBEDDING_SIZE, which ALBERT and ELECTRA have, is a BERT's.
BERT_KEYS = ("hidden_size", "intermediate_size", "num_attention_heads", "num_hidden_layers")
EMBEDDING_SIZE = "embedding_size"
# More rows without a word are those of another vocabulary: cased and uncased differ by 1,526.
MOST_SPARE_ROWS = 1024
# Share of a vocabulary's words with a capital letter from which it is a cased one.
CASED_SHARE = 0.01
TO_SAFETENSORS = (
    "pip install torch safetensors, in another environment, and there, in the folder of the model:"
    ' python -c "import torch; from safetensors.torch import save_file;'
    " state = torch.load('{name}', map_location='cpu', weights_only=True);"
    " save_file({{k: v.clone().contiguous() for k, v in state.get('state_dict', state).items()}},"
    " 'model.safetensors')\""
)


def read_settings(folder: Path) -> dict[str, Any]:
    """Read the configuration of a model folder; raises UserError for what is no loadable BERT."""
    refuse_pointers_in(folder)
    path = next((folder / name for name in CONFIGS if (folder / name).is_file()), None)
    if path is None:
        raise UserError(
            "the model folder has no config.json", str(folder), "give a BERT model's folder"
        )
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(
            "the model's config.json cannot be read", f"{path}: {error}", "download it again"
        ) from None
    if not isinstance(settings, dict):
        raise UserError(
            "the model's config.json is not a JSON object",
            f"{path}: {type(settings).__name__}",
            "use the config.json that the model was trained with",
        )
    if "auto_map" in settings:
        raise UserError(
            "the model needs its own code to run",
            f"auto_map in {path}",
            "use a plain BERT checkpoint: remote code is never executed",
        )
    if not _is_bert(settings):
        raise UserError(
            "the model is not a BERT",
            f"model_type {settings.get('model_type')!r} in {path}",
            "use a checkpoint with model_type bert",
        )
    if find_weights(folder) is None:
        raise _no_weights(folder)
    return settings


def check_limits(folder: Path, settings: Mapping[str, Any], max_length: int) -> None:
    """Raise UserError where a model cannot be trained on inputs of this length, or at all."""
    positions = settings.get("max_position_embeddings", 512)
    if max_length > positions:
        raise UserError(
            "--max-length is above the model's limit",
            f"{max_length}, the model has {positions} positions",
            f"give --max-length {positions} or less",
        )
    kind = settings.get("position_embedding_type") or "absolute"
    if kind != "absolute":
        raise UserError(
            "TFBert computes absolute positions only",
            f"position_embedding_type {kind!r} in the configuration in {folder}",
            "choose a --model with absolute positions",
        )
    decoder = [name for name in ("is_decoder", "add_cross_attention") if settings.get(name)]
    if decoder:
        raise UserError(
            "the model is a decoder: a token of it does not see those after it",
            f"{decoder[0]} in the configuration in {folder}",
            "choose a --model that is an encoder",
        )


def read_pooling(folder: Path, unstated: str = FIRST) -> str:
    """Return what a head for whole texts is to read, by the files of a model: FIRST or MEAN.

    A model trained by tfpipe has it in config.json, a sentence-transformers one in 1_Pooling; with
    neither, or AUTO in config.json, it is `unstated`.
    """
    config = _read_object(folder / "config.json")
    if config.get("pooling", AUTO) != AUTO:
        return MEAN if config["pooling"] == MEAN else FIRST
    pooling = _read_object(folder / "1_Pooling" / "config.json")
    if not pooling or "pooling" in config:
        return unstated
    return MEAN if pooling.get("pooling_mode_mean_tokens") else FIRST


def check_types(name: str, types: int, frame: Frame) -> None:
    """Raise UserError where a model, by its name, has no type for the second text of a pair."""
    needed = frame.second_type + 1
    if types < needed:
        raise UserError(
            "the model cannot tell the two texts of a pair apart",
            f"type_vocab_size {types} in the configuration of {name}, pairs need {needed}",
            f"choose a --model with type_vocab_size {needed}, or join the two texts into one"
            " column",
        )


def tokenizer_is_complete(folder: Path) -> bool:
    """Return whether the files of the tokenizer say all of it, unlike those of Google."""
    weights = find_weights(folder)
    is_google = weights is not None and weights.suffix == GOOGLE
    return not is_google or (folder / "tokenizer_config.json").exists()


def read_tokenizer(folder: Path) -> Tokenizer:
    """Load the tokenizer; raises UserError.

    Google's checkpoints do not say whether texts are lower-cased: their vocabulary does.
    """
    if tokenizer_is_complete(folder):
        return Tokenizer.from_folder(folder)
    vocabulary, rules = read_folder(folder)
    words = [token for token in vocabulary.tokens if not token.startswith("[")]
    cased = sum(bool(re.search("[A-Z]", word)) for word in words) > CASED_SHARE * len(words)
    kind = WordPiece(vocabulary.tokens, not cased, rules.strip_accents, rules.split_chinese)
    return Tokenizer(kind)


def check_vocabulary(
    folder: Path, settings: Mapping[str, Any], words: int, stored: StoredWeights
) -> str:
    """Hold the number of words in the vocabulary against the rows of the embedding.

    Returns:
        A note for the log on rows without a word, or "".

    Raises:
        UserError: There are words without a row, or too many rows without a word.
    """
    rows = {"config.json": settings.get("vocab_size", 30522)}
    embedding = stored.tensors.get(WORD_EMBEDDING)
    if embedding and embedding.shape:
        rows[stored.path.name] = embedding.shape[0]
    added = _read_added_tokens(folder)
    names = f"; added_tokens.json has {list_few(added)}" if added else ""
    for name, count in rows.items():
        if not words <= count <= words + MOST_SPARE_ROWS:
            raise UserError(
                "the model's vocabulary and its embedding differ",
                f"{words} words in the vocabulary, {count} rows by {name}, in {folder}{names}",
                "use the vocabulary that the model was trained with",
            )
    spare = rows[stored.path.name] - words if stored.path.name in rows else 0
    return f"; {spare} rows of the embedding without a word are kept{names}" if spare else ""


def _is_bert(settings: Mapping[str, Any]) -> bool:
    if "model_type" in settings:
        return bool(settings["model_type"] == "bert")
    names = settings.get("architectures") or ["Bert"]
    return (
        all(key in settings for key in BERT_KEYS)
        and EMBEDDING_SIZE not in settings
        and str(names[0]).removeprefix("TF").startswith("Bert")
    )


def _no_weights(folder: Path) -> UserError:
    pickled = sorted({file.name for pattern in PICKLES for file in folder.glob(pattern)})
    if pickled:
        return UserError(
            "the model's weights are a pickle, which can run code when it is opened",
            f"{', '.join(pickled)} in {folder}",
            f"convert it where you trust it: {TO_SAFETENSORS.format(name=pickled[0])}",
        )
    return UserError(
        "the model folder has no weights",
        f"{folder}: {', '.join(sorted(f.name for f in folder.iterdir()))}",
        f"add {', '.join(WEIGHTS)} or Google's bert_model.ckpt",
    )


def _read_added_tokens(folder: Path) -> list[str]:
    return list(_read_object(folder / "added_tokens.json"))


def _read_object(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
