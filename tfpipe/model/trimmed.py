"""A model without the tokens that its texts do not have."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from tfpipe.data.tokenizer import Tokenizer
from tfpipe.data.tokenizer.kept_letters import Kept
from tfpipe.data.tokenizer.trimming import trim_folder
from tfpipe.model.checkpoint_folder import read_tokenizer, tokenizer_is_complete
from tfpipe.model.stored_weights import WORD_EMBEDDING, StoredWeights


@dataclass(frozen=True)
class Trimming:
    """A trimmed tokenizer, and what the weights lose with it.

    Attributes:
        tokenizer: With new ids, in the order of the old ones.
        kept: What it keeps of the whole one.
        pieces: Whether it is trimmed to the pieces of texts, not to their scripts alone.
    """

    tokenizer: Tokenizer
    kept: Kept
    pieces: bool = False

    @property
    def whole(self) -> int:
        """The number of tokens of the whole one."""
        return self.kept.whole

    def select(self, stored: StoredWeights) -> StoredWeights:
        """Return the weights with the kept rows of the word embedding alone."""
        whole = stored.tensors[WORD_EMBEDDING]
        rows = self.kept.ids
        part = replace(whole, shape=(len(rows), *whole.shape[1:]), read=lambda: whole.read()[rows])
        return replace(stored, tensors={**stored.tensors, WORD_EMBEDDING: part})

    def describe(self, stored: StoredWeights) -> str:
        """Return a note for the log, with the sizes before and after, of float32.

        Args:
            stored: The whole weights.
        """
        before, width = stored.tensors[WORD_EMBEDDING].shape
        after = len(self.kept.ids)
        whole = sum(math.prod(tensor.shape) for tensor in stored.tensors.values())
        part = whole - (before - after) * width
        kept = ", ".join(self.kept.scripts)
        kept = f"the pieces of texts, {kept}" if self.pieces else kept
        return (
            f"; vocabulary trimmed to {kept}: {before:,} -> {after:,} rows"
            f" of the embedding, {whole / 1e6:,.1f} -> {part / 1e6:,.1f} M parameters,"
            f" {whole * 4 / 1e6:,.0f} -> {part * 4 / 1e6:,.0f} MB"
        )


def trim(folder: Path, texts: Iterable[str], pieces: bool = False) -> Trimming:
    """Trim the tokenizer of a model's folder to the scripts of texts; raises UserError.

    Args:
        folder: The folder.
        texts: The texts.
        pieces: Whether to their pieces; which texts have the same tokens as before, see
            `trim_folder`.
    """
    with tempfile.TemporaryDirectory() as name:
        aside = Path(name)
        source = folder
        if not tokenizer_is_complete(folder):
            read_tokenizer(folder).save(aside)
            source = aside
        kept = trim_folder(source, aside, texts, pieces)
        return Trimming(Tokenizer.from_folder(aside), kept, pieces)
