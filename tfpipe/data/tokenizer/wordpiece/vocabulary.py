"""Files of a BERT tokenizer, in the forms that transformers reads and writes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfpipe.data.tokenizer.files import (
    describe_added,
    read_json,
    read_text,
    write_json,
    write_text,
)
from tfpipe.data.tokenizer.frame import Frame
from tfpipe.data.tokenizer.words import CONTINUATION
from tfpipe.errors import UserError
from tfpipe.text_display import list_few

if TYPE_CHECKING:
    from tokenizers.normalizers import BertNormalizer

CLS, SEP, PAD, UNK, MASK = "[CLS]", "[SEP]", "[PAD]", "[UNK]", "[MASK]"
SPECIAL_NAMES = {"cls": CLS, "sep": SEP, "pad": PAD, "unk": UNK, "mask": MASK}
# Classes of transformers whose fast form is BERT's WordPiece under another name.
SAME_AS_BERT = ("Bert", "DistilBert", "Electra", "MobileBert", "ConvBert")
# The class of any fast tokenizer: its tokenizer.json has its kind.
ANY_FAST = "PreTrained"


@dataclass(frozen=True)
class Rules:
    """Text normalisation; strip_accents None follows lower_case, as in the original BERT."""

    lower_case: bool = True
    strip_accents: bool | None = None
    split_chinese: bool = True

    @property
    def strips_accents(self) -> bool:
        """Whether accents are stripped, with the default resolved."""
        return self.lower_case if self.strip_accents is None else self.strip_accents


class Vocabulary:
    """Tokens in the order of their ids; of a token that comes twice the last id counts.

    `frame` has the special tokens of an input.

    Raises UserError where a special token is missing, or a token could not be written to a file.
    """

    def __init__(self, tokens: Sequence[str]):
        self.tokens = list(tokens)
        self.ids = {token: i for i, token in enumerate(self.tokens)}
        missing = [name for name in (CLS, SEP, PAD, UNK) if name not in self.ids]
        if missing:
            raise UserError(
                "The vocabulary is not one of a BERT tokenizer.",
                f"{len(self.tokens)} tokens, without {', '.join(missing)}",
                "Choose a BERT model (WordPiece), or add the tokens to its vocabulary.",
            )
        # Neither a file with a token a line nor UTF-8 can hold these, and no text matches them.
        broken = [t for t in self.tokens if re.search("[\n\r\ud800-\udfff]", t)]
        if broken:
            raise UserError(
                "A token of the vocabulary holds a line break or half a character.",
                f"{broken[0]!r}, id {self.ids[broken[0]]}",
                "Replace it with a token of another name, such as [unused1].",
            )
        self.frame = Frame(self.ids[CLS], self.ids[SEP], self.ids[PAD])


def make_normalizer(rules: Rules) -> BertNormalizer:
    """Return the normalizer of the library `tokenizers` for these rules."""
    from tokenizers.normalizers import BertNormalizer

    return BertNormalizer(
        clean_text=True,
        handle_chinese_chars=rules.split_chinese,
        strip_accents=rules.strip_accents,
        lowercase=rules.lower_case,
    )


def read_folder(folder: Path) -> tuple[Vocabulary, Rules]:
    """Read the vocabulary and the rules of a model's folder; raises UserError if not BERT's."""
    config = read_json(folder / "tokenizer_config.json")
    fast = read_json(folder / "tokenizer.json")
    class_name = str(config.get("tokenizer_class") or "BertTokenizer")
    kind = class_name.removesuffix("Fast").removesuffix("Tokenizer")
    if kind not in (*SAME_AS_BERT, *([ANY_FAST] if fast else [])):
        raise _not_bert(folder, f"tokenizer_class {class_name} in tokenizer_config.json")
    for name, token in SPECIAL_NAMES.items():
        given = config.get(f"{name}_token") or token
        given = given["content"] if isinstance(given, dict) else given
        if given != token:
            raise _not_bert(folder, f"{name}_token {given!r} in tokenizer_config.json")

    normalizer = _check_fast(folder, fast) if fast else {}
    # As BertTokenizerFast has it: the configuration overrides tokenizer.json, and what it lacks has
    # the default; without a configuration, tokenizer.json is all there is.
    default = Rules()
    if normalizer and (not config or kind == ANY_FAST):
        default = Rules(*(normalizer[key] for key in _NORMALIZER_KEYS))
    rules = Rules(
        config.get("do_lower_case", default.lower_case),
        config.get("strip_accents", default.strip_accents),
        config.get("tokenize_chinese_chars", default.split_chinese),
    )
    return _read_vocabulary(folder, fast), rules


def write_folder(folder: Path, vocabulary: Vocabulary, rules: Rules) -> None:
    """Write the files from which transformers' AutoTokenizer loads an equal tokenizer."""
    folder.mkdir(parents=True, exist_ok=True)
    special = {f"{k}_token": t for k, t in SPECIAL_NAMES.items() if t in vocabulary.ids}
    config = {
        "tokenizer_class": "BertTokenizer",
        "do_lower_case": rules.lower_case,
        "strip_accents": rules.strip_accents,
        "tokenize_chinese_chars": rules.split_chinese,
        # Text that spells a special token stays text: it must not steer the model.
        "split_special_tokens": True,
        "model_max_length": 512,
        **dict.fromkeys(f"{name}_token" for name in SPECIAL_NAMES),
        **special,
    }
    write_text(folder / "vocab.txt", "".join(token + "\n" for token in vocabulary.tokens))
    write_json(folder / "tokenizer_config.json", config)
    write_json(folder / "special_tokens_map.json", special)
    fast = _fast_file(vocabulary, rules, list(special.values()))
    write_json(folder / "tokenizer.json", fast, indent=None)


_NORMALIZER_KEYS = ("lowercase", "strip_accents", "handle_chinese_chars")


def _not_bert(folder: Path, found: str) -> UserError:
    return UserError(
        f"The tokenizer in {folder} is not BERT's WordPiece tokenizer.",
        found,
        "Choose a model with the tokenizer of BERT (vocab.txt with [CLS], [SEP], [PAD] and [UNK]),"
        " or with that of XLM-R (SentencePiece Unigram).",
    )


def _check_fast(folder: Path, fast: dict[str, Any]) -> dict[str, Any]:
    """The normalizer's settings of a tokenizer.json; raises UserError where it is not BERT's."""
    model, normalizer = fast.get("model") or {}, fast.get("normalizer") or {}
    expected = [
        ("model type", model.get("type", "WordPiece"), "WordPiece"),
        ("unknown token", model.get("unk_token"), UNK),
        ("prefix of pieces", model.get("continuing_subword_prefix"), CONTINUATION),
        ("longest word", model.get("max_input_chars_per_word"), 100),
        ("normalizer", normalizer.get("type"), "BertNormalizer"),
        ("clean_text", normalizer.get("clean_text"), True),
        (
            "pre-tokenizer",
            (fast.get("pre_tokenizer") or {}).get("type"),
            "BertPreTokenizer",
        ),
    ]
    for what, found, wanted in expected:
        if found != wanted:
            raise _not_bert(folder, f"{what} {found!r} in tokenizer.json, instead of {wanted!r}")
    added = [t["content"] for t in fast.get("added_tokens", []) if not t.get("special")]
    if added:
        raise _not_bert(folder, f"tokens added beside the vocabulary: {list_few(added)}")
    return normalizer


def _read_vocabulary(folder: Path, fast: dict[str, Any]) -> Vocabulary:
    ids: dict[str, int] = fast["model"]["vocab"] if fast else {}
    path = folder / "vocab.txt"
    if path.exists():
        # Python's line ends, as transformers reads them; str.splitlines would know many more.
        tokens = read_text(path).split("\n")
        vocabulary = Vocabulary(tokens[:-1] if tokens[-1] == "" else tokens)
        unlike = vocabulary.ids.items() ^ ids.items()
        if fast and any(token not in SPECIAL_NAMES.values() for token, _ in unlike):
            raise UserError(
                f"The tokenizer's files in {folder} contradict each other.",
                f"{len(unlike)} tokens differ between vocab.txt and tokenizer.json",
                "Remove the file that does not belong to the model.",
            )
        return vocabulary
    if not fast:
        raise UserError(
            f"There is no vocabulary in {folder}.",
            "neither vocab.txt nor tokenizer.json",
            "Give the folder of a BERT model with its tokenizer's files.",
        )
    named = {t["content"]: t["id"] for t in fast.get("added_tokens", [])}
    ids = ids | {token: named[token] for token in SPECIAL_NAMES.values() if token in named}
    tokens = sorted(ids, key=ids.__getitem__)
    if [ids[token] for token in tokens] != list(range(len(tokens))):
        raise _not_bert(folder, "ids with gaps in tokenizer.json")
    return Vocabulary(tokens)


def _fast_file(vocabulary: Vocabulary, rules: Rules, special: list[str]) -> dict[str, Any]:
    """The content of tokenizer.json: all of the tokenizer in the format of `tokenizers`."""
    frame = [{"SpecialToken": {"id": t, "type_id": i}} for t, i in ((CLS, 0), (SEP, 0), (SEP, 1))]
    first, second = ({"Sequence": {"id": name, "type_id": i}} for i, name in enumerate("AB"))
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            describe_added(token, vocabulary.ids[token])
            for token in sorted(special, key=vocabulary.ids.__getitem__)
        ],
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": rules.split_chinese,
            "strip_accents": rules.strip_accents,
            "lowercase": rules.lower_case,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [frame[0], first, frame[1]],
            "pair": [frame[0], first, frame[1], second, frame[2]],
            "special_tokens": {
                token: {"id": token, "ids": [vocabulary.ids[token]], "tokens": [token]}
                for token in (CLS, SEP)
            },
        },
        "decoder": {"type": "WordPiece", "prefix": CONTINUATION, "cleanup": True},
        "model": {
            "type": "WordPiece",
            "unk_token": UNK,
            "continuing_subword_prefix": CONTINUATION,
            "max_input_chars_per_word": 100,
            "vocab": vocabulary.ids,
        },
    }
