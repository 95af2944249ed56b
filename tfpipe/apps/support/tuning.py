"""The limits on scores, chosen on labelled texts."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from serving.client import ClientError
from tfpipe.apps.support.answers import Answers
from tfpipe.apps.support.decision import OUTSIDE, Settings
from tfpipe.apps.support.models import Models, Version
from tfpipe.config import SupportTuneConfig
from tfpipe.errors import UserError

LEAST_TEXTS, LEAST_PAIRS, LEAST_OUTSIDE = 100, 10, 20
# Share of out-of-scope texts that may get an entry of the index.
OUTSIDE_ENTRIES = 0.1
# Scores are calibrated: an answer is given only where right is twice as probable as wrong, and the
# sum of two is the chance that a choice holds the right one, which few unsure texts tell less well.
# Two that are further apart than half are no two readings: the index may know better.
LEAST_THRESHOLD = 2 / 3
MARGINS, PAIR_SUMS = np.arange(1, 11) / 20, np.arange(14, 20) / 20
BATCH_SECONDS = 60.0


@dataclasses.dataclass(frozen=True)
class Judged:
    """Labelled texts and what the intent model says of them.

    Attributes:
        best: [N, 2] names of the two best intents.
        score: float [N, 2], their scores.
        gold: [N] labels.
        fits: bool [N], whether an intent with an answer is the label.
        given: bool [N], whether the best intent has an answer.
        choice: bool [N], whether both have.
    """

    best: np.ndarray
    score: np.ndarray
    gold: np.ndarray
    fits: np.ndarray
    given: np.ndarray
    choice: np.ndarray


def judge(names: Sequence[str], scores: np.ndarray, gold: np.ndarray, answers: Answers) -> Judged:
    """Rank the scores float [N, K] of K > 1 intents; without a table all inside have an answer."""
    known = [(n in answers if answers.entries else n not in OUTSIDE) for n in names]
    columns = np.argsort(-scores, axis=1, kind="stable")[:, :2]
    has_answer = np.array(known)
    answerable = {name for name, one in zip(names, known, strict=True) if one}
    fits = np.array([label in answerable for label in gold], bool)
    both = has_answer[columns]
    best = np.array(names)[columns]
    score = np.take_along_axis(scores, columns, axis=1)
    return Judged(best, score, gold, fits, both[:, 0], both[:, 0] & both[:, 1])


def _surely(right: np.ndarray, least: float) -> bool:
    """Whether the share of true values is `least` and a standard error above it."""
    share = right.mean() if len(right) else 0.0
    return bool(share - np.sqrt(share * (1 - share) / max(1, len(right))) >= least)


def choose_threshold(judged: Judged, right: float, outside: float) -> float:
    """Find the lowest threshold at which answers to texts in scope are right, and others are none.

    Raises:
        UserError: There is none.
    """
    is_right = judged.best[:, 0] == judged.gold
    rounded = np.floor(judged.score[judged.given, 0] * 1000) / 1000
    for threshold in np.unique(np.maximum(rounded, round(LEAST_THRESHOLD, 3))):
        answered = judged.given & (judged.score[:, 0] >= threshold)
        inside, others = answered & judged.fits, answered[~judged.fits]
        if _surely(is_right[inside], right) and (not len(others) or _surely(~others, outside)):
            return float(threshold)
    raise UserError(
        "no threshold makes enough of the answers right",
        f"{len(judged.gold)} texts, {is_right.mean():.3f} of them right without one; wanted"
        f" {right:g} right, and {outside:g} of those out of scope not answered",
        "train a better model, add texts, or give lower --right and --outside",
    )


def choose_margin(judged: Judged, threshold: float, right: float) -> tuple[float, float]:
    """Find the margin and least sum with the most choices of two, so many of them right.

    Returns:
        Both limits; (0, 1), which asks nothing back, where no limits will do, and the defaults
        where too few texts are unsure.
    """
    high, low = judged.score.T
    open_ = judged.choice & ~(high >= threshold)
    holds = (judged.best == judged.gold[:, None]).any(axis=1)
    if open_.sum() < LEAST_PAIRS:
        return Settings.margin, Settings.least_pair
    most, found = 0, (0.0, 1.0)
    for margin in MARGINS:
        for least in PAIR_SUMS:
            asked = open_ & (high - low <= margin) & (high + low >= least)
            if asked.sum() > most and _surely(holds[asked], right):
                most, found = int(asked.sum()), (float(margin), float(least))
    return found


def measure(judged: Judged, settings: Settings) -> dict[str, Any]:
    """Return the figures of texts at these limits, without the index."""
    high, low = judged.score.T
    answered = judged.given & (high >= settings.threshold)
    asked = judged.choice & ~answered & (high - low <= settings.margin)
    asked &= high + low >= settings.least_pair
    holds = (judged.best == judged.gold[:, None]).any(axis=1)
    inside, others = answered & judged.fits, answered[~judged.fits]
    right = (judged.best[:, 0] == judged.gold)[inside]
    return {
        "texts": len(judged.gold),
        "answered": float(answered[judged.fits].mean()) if judged.fits.any() else None,
        "answered_right": float(right.mean()) if len(right) else None,
        "asked_back": float(asked.mean()),
        "pairs_right": float(holds[asked].mean()) if asked.any() else None,
        "outside": len(others),
        "outside_not_answered": float((~others).mean()) if len(others) else None,
    }


def read_labelled(path: str) -> tuple[list[str], np.ndarray]:
    """Read texts and labels; raises UserError, also for too few of them."""
    from tfpipe.data.examples import Columns
    from tfpipe.data.read_examples import read_examples

    examples = read_examples(path, Columns())
    if len(examples) < LEAST_TEXTS:
        raise UserError(
            "there are too few labelled texts to tune by",
            f"{path}: {len(examples)}",
            f"give at least {LEAST_TEXTS}, some of them with a label such as out_of_scope",
        )
    return list(examples.texts), np.array(examples.labels)


async def tune(
    config: SupportTuneConfig, models: Models, answers: Answers, texts: list[str], gold: np.ndarray
) -> dict[str, Any]:
    """Choose the limits by labelled texts.

    Args:
        config: What is asked of the limits.
        models: The models, which answer.
        answers: The company's answers.
        texts: N texts.
        gold: Their labels, [N].

    Returns:
        The fields of Settings, and the figures at these limits.

    Raises:
        UserError: There is no intent model, or no limits will do.
    """
    version = models.intents.version if models.intents else None
    names = list(map(str, version.info.get("labels") or ())) if version else []
    if version is None or len(names) < 2:
        raise UserError(
            "there is no intent model to tune",
            f"{len(names)} labels in its `info`",
            "give --intents, an export of a classifier",
        )
    try:
        judged = judge(names, await _scores(version, texts), gold, answers)
        outside = [text for text, fits in zip(texts, judged.fits, strict=True) if not fits]
        floor = await _choose_floor(models, outside)
    except ClientError as error:
        found, fix = str(error), "start the model server again, and tune again"
        raise UserError("the models stopped answering", found, fix) from None
    threshold = choose_threshold(judged, config.right, config.outside)
    margin, least_pair = choose_margin(judged, threshold, config.right_pairs)
    settings = Settings(threshold, margin, least_pair, floor, version.number)
    return dataclasses.asdict(settings) | measure(judged, settings)


async def _scores(version: Version, texts: list[str]) -> np.ndarray:
    answers = await version.client.classify(texts, timeout=BATCH_SECONDS)
    return np.stack([answer.scores for answer in answers]).astype(float)


async def _choose_floor(models: Models, outside: list[str]) -> float:
    """Find the score that few texts out of scope reach; the default with too few of these.

    An index that was built with questions has a floor of its own.
    """
    version = models.index.version if models.index else None
    if version is None or len(outside) < LEAST_OUTSIDE:
        return Settings.floor
    if (version.info.get("index") or {}).get("floor"):
        return Settings.floor
    found = await version.client.search(outside, timeout=BATCH_SECONDS)
    best = np.array([results[0].score if results else 0.0 for results in found])
    return min(1.0, float(np.quantile(best, 1 - OUTSIDE_ENTRIES)) + 0.001)
