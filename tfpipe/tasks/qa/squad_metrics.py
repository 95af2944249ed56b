"""Exact match and F1 of answers, as the official scripts of SQuAD and of CMRC 2018 define them."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from difflib import SequenceMatcher

import numpy as np

ARTICLES = re.compile(r"\b(a|an|the)\b")
ASCII_PUNCTUATION = str.maketrans("", "", string.punctuation)
CHINESE = re.compile(r"[\u4e00-\u9fff]")
# The script's own range, which ends before the characters that Unicode 4.1 and later added.
CMRC_CHARACTER = re.compile(r"[\u4e00-\u9fa5]")
CMRC_DROPPED = str.maketrans("", "", "-:_*^/\\~`+=，。：？！“”；’《》·、「」（）－～『』")
# Stands in for NLTK's treebank tokenizer: words, numbers with their points, other signs.
CMRC_WORD = re.compile(r"\w+(?:[.,]\d+)*|[^\w\s]")


def written_in_chinese(answers: Iterable[str]) -> bool:
    """Return whether at least half of the letters of all answers are Chinese characters."""
    letters = "".join(filter(str.isalpha, "".join(answers)))
    return 2 * len(CHINESE.findall(letters)) >= max(len(letters), 1)


def score_answers(
    predicted: Sequence[str], gold: Sequence[Sequence[str]], chinese: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Compute exact match and F1, float [N] from 0 to 1, the best over a question's answers.

    Args:
        predicted: N answers; an empty string is no answer.
        gold: The right answers; none for a question without.
        chinese: Whether to use CMRC 2018's definition instead of SQuAD's.
    """
    exact, overlap = (match_chinese, overlap_chinese) if chinese else (match_english, overlap_words)
    golds = [_comparable(answers, chinese) for answers in gold]
    return (
        np.array([_best(exact, p, g) for p, g in zip(predicted, golds, strict=True)], float),
        np.array([_best(overlap, p, g) for p, g in zip(predicted, golds, strict=True)], float),
    )


def _comparable(answers: Sequence[str], chinese: bool) -> Sequence[str]:
    # Where nothing is left of an answer, SQuAD 2 takes the question for one without an answer.
    return [a for a in answers if chinese or normalize_english(a)] or [""]


def _best(measure: Callable[[str, str], float], predicted: str, gold: Sequence[str]) -> float:
    return max(measure(predicted, answer) for answer in gold)


def normalize_english(text: str) -> str:
    """Lower case, without ASCII punctuation, articles and more than one space between words."""
    return " ".join(ARTICLES.sub(" ", text.lower().translate(ASCII_PUNCTUATION)).split())


def match_english(predicted: str, gold: str) -> float:
    """Return 1 if both are equal when normalised, else 0."""
    return float(normalize_english(predicted) == normalize_english(gold))


def overlap_words(predicted: str, gold: str) -> float:
    """Compute F1 of the bags of words; of a side without words, whether both have none.

    Source: SQuAD's evaluate-v2.0.py (Rajpurkar et al. 2018).
    """
    ours, theirs = normalize_english(predicted).split(), normalize_english(gold).split()
    if not ours or not theirs:
        return float(ours == theirs)
    return _f1((Counter(ours) & Counter(theirs)).total(), len(ours), len(theirs))


def match_chinese(predicted: str, gold: str) -> float:
    """Return 1 if both are equal in lower case without the script's punctuation, else 0."""
    ours, theirs = (text.lower().strip().translate(CMRC_DROPPED) for text in (predicted, gold))
    return float(ours == theirs)


def overlap_chinese(predicted: str, gold: str) -> float:
    """Compute F1 of the longest shared run of Chinese characters and other words.

    Without any gold answer, whether there is none predicted. Source: cmrc2018_evaluate.py, version
    4 (Cui et al. 2019), whose "longest common subsequence" is one without gaps.
    """
    if not gold:
        return float(not predicted)
    ours, theirs = split_mixed(predicted), split_mixed(gold)
    matcher = SequenceMatcher(None, ours, theirs, autojunk=False)
    return _f1(matcher.find_longest_match().size, len(ours), len(theirs))


def split_mixed(text: str) -> list[str]:
    """Split into Chinese characters and the words between them, without punctuation."""
    spaced = CMRC_CHARACTER.sub(r" \g<0> ", text.lower().strip().translate(CMRC_DROPPED))
    return CMRC_WORD.findall(spaced)


def _f1(shared: int, ours: int, theirs: int) -> float:
    return 2 * shared / (ours + theirs) if shared else 0.0


def find_threshold(margins: np.ndarray, f1: np.ndarray, answerable: np.ndarray) -> float:
    """Find the margin above which no answer gives the best F1.

    The threshold lies midway between two margins. Source: find_best_thresh of SQuAD's
    evaluate-v2.0.py.

    Args:
        margins: float [N], by how much the score of no answer exceeds that of the best one.
        f1: float [N], of the best answers.
        answerable: bool [N].
    """
    order = np.argsort(margins, kind="stable")
    margins = margins[order]
    # Answering one more question adds its F1, or loses the point for no answer.
    gains = np.concatenate([[0.0], np.cumsum(np.where(answerable[order], f1[order], -1.0))])
    edges = np.concatenate([[margins[0] - 2.0], margins, [margins[-1] + 2.0]])
    # No threshold parts equal margins.
    gains[edges[:-1] == edges[1:]] = -np.inf
    cut = int(gains.argmax())
    return float((edges[cut] + edges[cut + 1]) / 2)
