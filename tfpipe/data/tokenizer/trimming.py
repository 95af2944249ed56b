"""Trimming of a tokenizer to the scripts, or to the pieces, of some texts."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tfpipe.data.tokenizer.fast_tokenizer import FastTokenizer
from tfpipe.data.tokenizer.kept_letters import Kept
from tfpipe.data.tokenizer.unigram import folder as unigram_folder
from tfpipe.data.tokenizer.unigram import trimming as unigram_trimming
from tfpipe.data.tokenizer.wordpiece import trimming as wordpiece_trimming
from tfpipe.data.tokenizer.wordpiece.vocabulary import Vocabulary, read_folder, write_folder


def trim_folder(source: Path, target: Path, texts: Iterable[str], pieces: bool = False) -> Kept:
    """Write the tokenizer of a model's folder without the tokens that texts like these never have.

    Trimmed to scripts, it divides texts whose letters are of ASCII and of the scripts of these
    texts exactly as before. Trimmed to pieces, it divides so the texts whose tokens all are kept
    (of WordPiece those without an unknown word, whose parts need not be kept); in others a word
    falls into smaller pieces.

    Args:
        source: The folder with the whole tokenizer.
        target: The folder for the files of the trimmed one, which may be the same.
        texts: All texts of the training rows.
        pieces: Whether to keep the tokens of these texts alone, and single characters of their
            scripts, in place of all tokens of these scripts.

    Raises:
        UserError: The tokenizer is of no known kind.
    """
    texts = [*texts]
    used = FastTokenizer.from_folder(source).tokenize(texts).ids if pieces else None
    if unigram_folder.has_unigram(source):
        whole = unigram_folder.read_folder(source)
        kept = unigram_trimming.keep_scripts(whole, texts, used)
        unigram_folder.write_folder(target, unigram_trimming.trim(whole, kept.ids))
    else:
        vocabulary, rules = read_folder(source)
        kept = wordpiece_trimming.keep_scripts(vocabulary, rules, texts, used)
        write_folder(target, Vocabulary([vocabulary.tokens[i] for i in kept.ids]), rules)
    return kept
