"""Trimming of a tokenizer to the scripts of some texts."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tfpipe.data.tokenizer.kept_letters import Kept
from tfpipe.data.tokenizer.unigram import folder as unigram_folder
from tfpipe.data.tokenizer.unigram import trimming as unigram_trimming
from tfpipe.data.tokenizer.wordpiece import trimming as wordpiece_trimming
from tfpipe.data.tokenizer.wordpiece.vocabulary import Vocabulary, read_folder, write_folder


def trim_folder(source: Path, target: Path, texts: Iterable[str]) -> Kept:
    """Write the tokenizer of a model's folder without the tokens that texts like these never have.

    Texts whose letters are of ASCII and of the scripts of these texts are divided exactly as
    before.

    Args:
        source: The folder with the whole tokenizer.
        target: The folder for the files of the trimmed one, which may be the same.
        texts: All texts of the training rows.

    Raises:
        UserError: The tokenizer is of no known kind.
    """
    if unigram_folder.has_unigram(source):
        whole = unigram_folder.read_folder(source)
        kept = unigram_trimming.keep_scripts(whole, texts)
        unigram_folder.write_folder(target, unigram_trimming.trim(whole, kept.ids))
    else:
        vocabulary, rules = read_folder(source)
        kept = wordpiece_trimming.keep_scripts(vocabulary, rules, texts)
        write_folder(target, Vocabulary([vocabulary.tokens[i] for i in kept.ids]), rules)
    return kept
