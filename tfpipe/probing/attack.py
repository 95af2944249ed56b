"""A greedy attack: typing errors in the words that an answer depends on most.

As TextBugger does (Li et al. 2019, section III, https://arxiv.org/abs/1812.05271): the words of a
text are ordered by how much the score of the right label falls without each; one after the other is
then misspelt in the way that lowers it most. Equal seeds and models give equal attacks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random

import numpy as np

from tfpipe.data.changes.changes import CHANGES, HAN, Place
from tfpipe.data.changes.edits import Edit, apply
from tfpipe.data.examples import Examples
from tfpipe.predicting.answer_texts import answer_texts
from tfpipe.predicting.predictor import Predictor
from tfpipe.report.sections import Attack, AttackRow

# The changes that a word is misspelt with; each is drawn this often.
MISSPELLINGS = ("typos", "swap", "drop", "homophones", "shapes")
DRAWS = 4
# What can be misspelt, and how many of a text are tried.
WORD = re.compile(rf"[{HAN}]|[A-Za-z]{{3,}}")
WORDS = 12

# From rows and a text for each to the scores of all labels, float [N, K].
Score = Callable[[Sequence[int], Sequence[str]], np.ndarray]


@dataclass
class AttackedText:
    """A text under attack.

    Attributes:
        row: Its number.
        text: The text.
        gold: The column of its label.
        score: Of that label, now.
        words: Of the text, those first on which the answer depends most.
        edits: Made so far.
        answer: The column of another label that it is answered with, once it is.
    """

    row: int
    text: str
    gold: int
    score: float
    words: Sequence[Place] = ()
    edits: list[Edit] = field(default_factory=list)
    answer: int | None = None

    def with_edit(self, edit: Edit) -> str:
        """Return the text with the edits so far and one more."""
        return apply(self.text, sorted([*self.edits, edit]))


def attack(
    score: Score, texts: Sequence[str], gold: Sequence[int], most_edits: int, seed: int
) -> list[AttackedText]:
    """Attack texts that are answered right.

    Args:
        score: The model.
        texts: N texts.
        gold: The column of the label of each.
        most_edits: Words of a text that are misspelt at most.
        seed: Of the misspellings.

    Returns:
        The texts that were answered right, each with what became of it.
    """
    rows = range(len(texts))
    scores = score(rows, texts)
    attacked = [
        AttackedText(row, texts[row], gold[row], float(scores[row, gold[row]]))
        for row in rows
        if scores[row].argmax() == gold[row]
    ]
    _order_words(score, attacked)
    for number in range(WORDS):
        open_texts = [
            one
            for one in attacked
            if one.answer is None and number < len(one.words) and len(one.edits) < most_edits
        ]
        _misspell(score, open_texts, number, seed)
    return attacked


def _order_words(score: Score, attacked: Sequence[AttackedText]) -> None:
    """Order the words of each text by how much the score falls without each."""
    places = [[match.span() for match in WORD.finditer(one.text)] for one in attacked]
    tried = [
        (one, place, apply(one.text, [Edit(*place, "")]))
        for one, words in zip(attacked, places, strict=True)
        for place in words
    ]
    if not tried:
        return
    found = score([one.row for one, _, _ in tried], [text for _, _, text in tried])
    left: dict[int, list[tuple[float, Place]]] = {one.row: [] for one in attacked}
    for (one, place, _), scores in zip(tried, found, strict=True):
        left[one.row].append((float(scores[one.gold]), place))
    for one in attacked:
        one.words = [place for _, place in sorted(left[one.row])[:WORDS]]


def _misspell(score: Score, attacked: Sequence[AttackedText], number: int, seed: int) -> None:
    """Misspell the word of this number of each text, where that lowers the score."""
    tried = [
        (one, edit)
        for one in attacked
        for edit in _misspellings(one.text, one.words[number], Random(f"{seed}/{one.row}/{number}"))
    ]
    if not tried:
        return
    found = score([one.row for one, _ in tried], [one.with_edit(edit) for one, edit in tried])
    best: dict[int, tuple[float, int]] = {}
    for place, ((one, _), scores) in enumerate(zip(tried, found, strict=True)):
        best[one.row] = min(best.get(one.row, (np.inf, 0)), (float(scores[one.gold]), place))
    for lowest, place in best.values():
        one, edit = tried[place]
        if lowest < one.score:
            one.score = lowest
            one.edits = sorted([*one.edits, edit])
            answer = int(found[place].argmax())
            one.answer = None if answer == one.gold else answer


def _misspellings(text: str, word: Place, random: Random) -> list[Edit]:
    """Draw different edits of a word."""
    start, end = word
    found: list[Edit] = []
    for name in MISSPELLINGS:
        change = CHANGES[name]
        for place in change.places(text[start:end]):
            for _ in range(DRAWS):
                edit = change.edit(text[start:end], place, random)
                if edit is not None:
                    found.append(Edit(edit.start + start, edit.end + start, edit.new))
    return list(dict.fromkeys(found))


def attack_examples(
    predictor: Predictor, examples: Examples, rows: int, most_edits: int, seed: int, show: int
) -> Attack:
    """Attack examples of a classifier.

    Args:
        predictor: The model.
        examples: Labelled examples.
        rows: Number of those that are attacked, drawn by the seed.
        most_edits: Words of a text that are misspelt at most.
        seed: Of the choice and the misspellings.
        show: Number of texts in the result.
    """
    drawn = sorted(Random(str(seed)).sample(range(len(examples)), min(rows, len(examples))))
    taken = examples.take(drawn)
    names = list(predictor.label_names or ())
    gold = [names.index(label) for label in taken.labels or ()]

    def score(numbers: Sequence[int], texts: Sequence[str]) -> np.ndarray:
        pairs = taken.text_pairs and [taken.text_pairs[number] for number in numbers]
        return answer_texts(predictor, texts, pairs)["scores"]

    attacked = attack(score, taken.texts, gold, most_edits, seed)
    turned = [one for one in attacked if one.answer is not None]
    return Attack(
        texts=len(taken),
        before=len(attacked) / len(taken),
        after=(len(attacked) - len(turned)) / len(taken),
        edits=most_edits,
        examples=[
            AttackRow(one.text, apply(one.text, one.edits), names[one.gold], names[one.answer])
            for one in turned[:show]
            if one.answer is not None
        ],
    )
