"""Files of XLM-R's tokenizer, SentencePiece Unigram, in the forms that transformers uses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tfpipe.data.tokenizer.files import read_json, write_json
from tfpipe.data.tokenizer.unigram import sentencepiece_model, tokenizer_json
from tfpipe.data.tokenizer.unigram.vocabulary import UnigramVocabulary, not_unigram
from tfpipe.errors import UserError

# The names of the special tokens that only the configuration tells, and what they are without it.
NAMES = {"pad": "<pad>", "mask": "<mask>"}


def has_unigram(folder: Path) -> bool:
    """Whether the tokenizer in a model's folder is of SentencePiece's kind Unigram."""
    if (folder / sentencepiece_model.NAME).exists():
        return True
    config = read_json(folder / "tokenizer_config.json")
    if str(config.get("tokenizer_class")).startswith("XLMRoberta"):
        return True
    # Those of WordPiece have it; the large file of the other kind is not read twice.
    if (folder / "vocab.txt").exists():
        return False
    model = read_json(folder / tokenizer_json.NAME).get("model")
    return isinstance(model, dict) and model.get("type") == "Unigram"


def read_folder(folder: Path) -> UnigramVocabulary:
    """Read the vocabulary of a model's folder, from tokenizer.json or sentencepiece.bpe.model.

    Its text is divided as XLM-R's tokenizer.json on the hub has it: `WhitespaceSplit` and
    `Metaspace`. Where the folder's has `Metaspace` only, as transformers converts it, the ids are
    the same but for U+0085, which is a character there and white space here, and offsets do not
    include the space before a word.

    Raises:
        UserError: The folder has no such tokenizer, or files that contradict each other.
    """
    names = _read_names(folder)
    fast = tokenizer_json.read(folder, names)
    model = folder / sentencepiece_model.NAME
    slow = sentencepiece_model.read(model) if model.exists() else None
    if fast and slow:
        unlike = set(fast.pieces) ^ set(slow.pieces)
        if unlike:
            raise UserError(
                f"The tokenizer's files in {folder} contradict each other.",
                f"{len(unlike)} pieces differ between {tokenizer_json.NAME} and {model.name}",
                "Remove the file that does not belong to the model.",
            )
    found = fast or slow
    if not found:
        raise UserError(
            f"There is no vocabulary in {folder}.",
            f"neither {tokenizer_json.NAME} nor {model.name}",
            "Give the folder of a model with its tokenizer's files.",
        )
    return found


def write_folder(folder: Path, vocabulary: UnigramVocabulary) -> None:
    """Write the files from which transformers' AutoTokenizer loads an equal tokenizer."""
    folder.mkdir(parents=True, exist_ok=True)
    named = {
        "bos": vocabulary.cls_id,
        "cls": vocabulary.cls_id,
        "eos": vocabulary.sep_id,
        "sep": vocabulary.sep_id,
        "pad": vocabulary.pad_id,
        "unk": vocabulary.unk_id,
        "mask": vocabulary.mask_id,
    }
    names = {
        f"{name}_token": None if i is None else vocabulary.pieces[i] for name, i in named.items()
    }
    config = {
        "tokenizer_class": "XLMRobertaTokenizer",
        # Text that spells a special token stays text: it must not steer the model.
        "split_special_tokens": True,
        "model_max_length": 512,
        **names,
    }
    write_json(folder / "tokenizer_config.json", config)
    special = {name: token for name, token in names.items() if token is not None}
    write_json(folder / "special_tokens_map.json", special)
    write_json(folder / tokenizer_json.NAME, tokenizer_json.describe(vocabulary), indent=None)


def _read_names(folder: Path) -> dict[str, str]:
    """The names of the special tokens that tokenizer.json does not tell by itself."""
    config = read_json(folder / "tokenizer_config.json")
    class_name = str(config.get("tokenizer_class") or "XLMRobertaTokenizer")
    if class_name.removesuffix("Fast") not in ("XLMRobertaTokenizer", "PreTrainedTokenizer"):
        raise not_unigram(folder, f"tokenizer_class {class_name} in tokenizer_config.json")
    special: dict[str, Any] = {**read_json(folder / "special_tokens_map.json"), **config}
    names = {}
    for name, token in NAMES.items():
        given = special.get(f"{name}_token", token)
        names[name] = given["content"] if isinstance(given, dict) else given
    return names
