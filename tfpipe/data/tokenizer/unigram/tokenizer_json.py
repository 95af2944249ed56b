"""XLM-R's tokenizer in the format of `tokenizers`, tokenizer.json."""

from __future__ import annotations

import base64
import binascii
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tfpipe.data.tokenizer.files import describe_added, read_json
from tfpipe.data.tokenizer.unigram.charsmap import build, parse
from tfpipe.data.tokenizer.unigram.scores import read_number
from tfpipe.data.tokenizer.unigram.vocabulary import UnigramVocabulary, not_unigram
from tfpipe.data.tokenizer.words import SPACE
from tfpipe.text_display import list_few

if TYPE_CHECKING:
    from tokenizers import Tokenizer

NAME = "tokenizer.json"
Part = dict[str, Any]
STRIP: Part = {"type": "Strip", "strip_right": True}
MERGE: Part = {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}
MARK: Part = {**MERGE, "content": SPACE}
# White space at the end of a text as a word, where the words are divided at white space.
KEEP: Part = {"type": "Replace", "pattern": {"Regex": r"\s+\z"}, "content": f" {SPACE}"}
STEPS = [("strip", STRIP), ("merge", MERGE), ("mark", MARK), ("keep", KEEP)]
# By whether words are divided at white space, or by Metaspace only, and the steps of normalisation
# behind the table of replacements: whether white space at the end of a text is a token. What is
# not here makes tokens of other white space too.
TRAILING_SPACE = {
    (True, ()): False,
    (True, ("strip",)): False,
    (True, ("merge",)): False,
    (True, ("strip", "merge")): False,
    (True, ("strip", "mark")): False,
    (True, ("merge", "strip")): False,
    (True, ("keep",)): True,
    (False, ("strip", "merge")): False,
    (False, ("strip", "mark")): False,
    (False, ("merge", "strip")): False,
    (False, ("merge",)): True,
    (False, ("mark",)): True,
}


def read(folder: Path, names: dict[str, str]) -> UnigramVocabulary | None:
    """Return the vocabulary of a folder's tokenizer.json, None where there is no such file.

    Args:
        folder: The folder.
        names: The names of the tokens `pad` and `mask`.

    Raises:
        UserError: The tokenizer is damaged, or cannot be computed exactly.
    """
    fast = read_json(folder / NAME, read_number)
    if not fast:
        return None
    try:
        return _read(folder, fast, names)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        found = f"{NAME} of another structure ({type(error).__name__}: {error})"
        raise not_unigram(folder, found) from error


def _read(folder: Path, fast: Part, names: dict[str, str]) -> UnigramVocabulary:
    model = fast["model"]
    for what, found, wanted in (
        ("model type", model.get("type"), "Unigram"),
        ("byte_fallback", model.get("byte_fallback", False), False),
    ):
        if found != wanted:
            raise not_unigram(folder, f"{what} {found!r} in {NAME}, instead of {wanted!r}")
    if not isinstance(model.get("unk_id"), int):
        raise not_unigram(folder, f"unk_id {model.get('unk_id')!r} in {NAME}")
    pieces = [str(piece) for piece, _ in model["vocab"]]
    scores = np.array([score for _, score in model["vocab"]], np.float64)
    ids = {piece: i for i, piece in enumerate(pieces)}
    cls_id, sep_id = _read_template(folder, fast["post_processor"], ids)
    special = [cls_id, sep_id, model["unk_id"], *(ids.get(name) for name in names.values())]
    if names["pad"] not in ids:
        raise not_unigram(folder, f"no piece {names['pad']!r}, the token of padding")
    added = {token["content"]: token["id"] for token in fast.get("added_tokens", [])}
    strange = [t for t, i in added.items() if ids.get(t) != i or i not in special]
    if strange:
        raise not_unigram(folder, f"tokens added beside the vocabulary: {list_few(strange)}")
    charsmap, *steps = _flatten(fast.get("normalizer"), "normalizers") or [{}]
    return UnigramVocabulary(
        pieces,
        scores,
        cls_id,
        sep_id,
        ids[names["pad"]],
        model["unk_id"],
        ids.get(names["mask"]),
        parse(_read_charsmap(folder, charsmap)),
        _read_spaces(folder, steps, _flatten(fast.get("pre_tokenizer"), "pretokenizers")),
    )


def _flatten(part: Part | None, key: str) -> list[Part]:
    """The parts of a part that may be a sequence."""
    if part is None:
        return []
    if part.get("type") != "Sequence":
        return [part]
    return [one for inner in part[key] for one in _flatten(inner, key)]


def _read_charsmap(folder: Path, part: Part) -> bytes:
    if part.get("type") != "Precompiled":
        found = f"normalizer {part.get('type')!r} in {NAME}, instead of 'Precompiled' as the first"
        raise not_unigram(folder, found)
    try:
        return base64.b64decode(part["precompiled_charsmap"], validate=True)
    except (binascii.Error, TypeError) as error:
        raise not_unigram(folder, f"precompiled_charsmap in {NAME}: {error}") from error


def _read_spaces(folder: Path, normalizers: list[Part], pre_tokenizers: list[Part]) -> bool:
    """Whether white space at the end of a text is a token."""
    steps = []
    for part in normalizers:
        named = [n for n, step in STEPS if step.items() <= part.items()]
        if not named:
            raise not_unigram(folder, f"normalizer {_show(part)} in {NAME}")
        steps += named
    words = [part.get("type") for part in pre_tokenizers]
    if words not in (["WhitespaceSplit", "Metaspace"], ["Metaspace"]):
        raise not_unigram(folder, f"pre-tokenizers {words} in {NAME}")
    meta = pre_tokenizers[-1]
    prefix = meta.get("prepend_scheme", "always" if meta.get("add_prefix_space", True) else "never")
    if (meta.get("replacement"), prefix, meta.get("split", True)) != (SPACE, "always", True):
        raise not_unigram(folder, f"pre-tokenizer {_show(meta)} in {NAME}")
    key = (len(words) == 2, tuple(steps))
    if key not in TRAILING_SPACE:
        shown = ", ".join([*map(_show, normalizers), *map(_show, pre_tokenizers)])
        raise not_unigram(folder, f"white space that is neither split at nor merged: {shown}")
    return TRAILING_SPACE[key]


def _read_template(folder: Path, part: Part, ids: dict[str, int]) -> tuple[int, int]:
    """The ids before and behind a text."""
    if part.get("type") != "TemplateProcessing":
        raise not_unigram(folder, f"post-processor {part.get('type')!r} in {NAME}")
    single = part["single"]
    cls, sep = (item["SpecialToken"]["id"] for item in (single[0], single[-1]))
    if single != _template(cls, sep)[0] or part["pair"] != _template(cls, sep)[1]:
        found = f"template {_show(single)} and {_show(part['pair'])} in {NAME}"
        raise not_unigram(folder, found)
    for token in (cls, sep):
        if part["special_tokens"][token]["ids"] != [ids.get(token)]:
            raise not_unigram(folder, f"a template with {token!r} of another id than its piece")
    return ids[cls], ids[sep]


def _template(cls: str, sep: str) -> tuple[list[Part], list[Part]]:
    start, end = ({"SpecialToken": {"id": token, "type_id": 0}} for token in (cls, sep))
    first, second = ({"Sequence": {"id": name, "type_id": 0}} for name in "AB")
    return [start, first, end], [start, first, end, end, second, end]


def _show(part: Any) -> str:
    shown = json.dumps(part, ensure_ascii=False)
    return shown if len(shown) <= 300 else f"{shown[:300]}..."


def make_pipeline(vocabulary: UnigramVocabulary) -> Tokenizer:
    """Return the tokenizer of `tokenizers`, without special tokens in front of texts and behind.

    A special token that a text spells is text; `tokenizers` by itself takes it for the piece that
    it is in the vocabulary, even where it is told to split special tokens.
    """
    from tokenizers import Tokenizer

    content = describe(vocabulary)
    for i in vocabulary.special_ids:
        # No word has a space.
        content["model"]["vocab"][i] = (f" {i}", content["model"]["vocab"][i][1])
    plain = {**content, "added_tokens": [], "post_processor": None}
    return Tokenizer.from_str(json.dumps(plain))


def describe(vocabulary: UnigramVocabulary) -> Part:
    """Return the content of tokenizer.json, from which `read` and transformers read it equally."""
    cls, sep = (vocabulary.pieces[i] for i in (vocabulary.cls_id, vocabulary.sep_id))
    single, pair = _template(cls, sep)
    charsmap = base64.b64encode(build(vocabulary.charsmap)).decode()
    normalizers = [
        {"type": "Precompiled", "precompiled_charsmap": charsmap},
        *([KEEP] if vocabulary.trailing_space else []),
    ]
    metaspace = {"replacement": SPACE, "prepend_scheme": "always", "split": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            # As XLM-R has it, a mask takes the space before it.
            describe_added(vocabulary.pieces[i], i, lstrip=i == vocabulary.mask_id)
            for i in vocabulary.special_ids
        ],
        "normalizer": {"type": "Sequence", "normalizers": normalizers},
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [{"type": "WhitespaceSplit"}, {"type": "Metaspace", **metaspace}],
        },
        "post_processor": {
            "type": "TemplateProcessing",
            "single": single,
            "pair": pair,
            "special_tokens": {
                token: {"id": token, "ids": [i], "tokens": [token]}
                for token, i in ((cls, vocabulary.cls_id), (sep, vocabulary.sep_id))
            },
        },
        "decoder": {"type": "Metaspace", **metaspace},
        "model": {
            "type": "Unigram",
            "unk_id": vocabulary.unk_id,
            "vocab": list(zip(vocabulary.pieces, vocabulary.scores.tolist(), strict=True)),
            "byte_fallback": False,
        },
    }
