"""Thresholds from which a label is active: one for each label, tuned on dev."""

from __future__ import annotations

import numpy as np
from scipy.special import expit, logit

# So many positives of its own weigh as much for a label as all labels together do. Tried on real
# (finnl, 16 labels) and drawn scores (100 labels) with 0 to 80: greater numbers lose up to 5 points
# of F1 where labels differ, 0 loses a point where they do not, 5 was near the best everywhere.
SHARED_POSITIVES = 5
# Keeps the working copies of a column block near 100 MB for a million texts.
SCORES_AT_ONCE = 2_000_000
# Another batch, or the same graph in a server, gives other last digits than training saw.
CLEAR, FURTHEST = 1e-5, 0.01


def tune_thresholds(scores: np.ndarray, gold: np.ndarray) -> np.ndarray:
    """Tune the thresholds at or above which labels are active, float32 [K].

    Each label's best threshold for F1 on dev is moved, in log odds, towards the one threshold that
    is best for all labels together (micro F1): with P positives it moves 5 / (P + 5) of the way.
    The best for a few positives is mostly noise, and without any there is none. A dev without any
    active label gives 0.5 to all.

    Args:
        scores: float [N, K].
        gold: bool [N, K].
    """
    scores, gold = np.asarray(scores, np.float32), np.asarray(gold, bool)
    positives = gold.sum(axis=0)
    shared = best_thresholds(scores.reshape(-1, 1), gold.reshape(-1, 1))[0]
    own = np.where(positives > 0, best_thresholds(scores, gold), shared)
    weight = positives / (positives + SHARED_POSITIVES)
    moved = expit(weight * _log_odds(own) + (1.0 - weight) * _log_odds(np.full_like(own, shared)))
    return moved.astype(np.float32)


def _log_odds(threshold: np.ndarray) -> np.ndarray:
    return logit(np.clip(threshold.astype(np.float64), 1e-6, 1.0 - 1e-6))


def best_thresholds(scores: np.ndarray, gold: np.ndarray) -> np.ndarray:
    """Find float32 [K] that maximises each column's F1 on scores [N, K] and gold bool [N, K].

    Candidates are half way between neighbouring scores (0.5 where it lies between them). Of equally
    good ones the nearest to 0.5 is taken; 0.5 itself in a column without positives.
    """
    scores, gold = np.asarray(scores, np.float32), np.asarray(gold, bool)
    columns = scores.shape[1]
    found = np.full(columns, 0.5, np.float32)
    at_once = max(1, SCORES_AT_ONCE // max(1, len(scores)))
    for start in range(0, columns if len(scores) else 0, at_once):
        part = slice(start, start + at_once)
        found[part] = _best_of(scores[:, part], gold[:, part])
    return found


def _best_of(scores: np.ndarray, gold: np.ndarray) -> np.ndarray:
    order = np.argsort(-scores, axis=0, kind="stable")
    ordered = np.take_along_axis(scores, order, axis=0)
    hits = np.cumsum(np.take_along_axis(gold, order, axis=0), axis=0)
    active = np.arange(1, len(scores) + 1)[:, None]
    f1 = 2.0 * hits / (active + hits[-1])
    below = np.concatenate([ordered[1:], np.zeros((1, scores.shape[1]), np.float32)])
    # Texts of one score become active together.
    f1[:-1][ordered[:-1] == below[:-1]] = -1.0
    middle = (ordered + below) / np.float32(2)
    threshold = np.where(middle > below, middle, ordered)
    threshold[(below < 0.5) & (ordered >= 0.5)] = 0.5
    distance = np.abs(threshold - np.float32(0.5))
    # Equal ratios divide to equal numbers, so equally good ones need no tolerance.
    distance[f1 < f1.max(axis=0)] = np.inf
    best = np.take_along_axis(threshold, distance.argmin(axis=0)[None], axis=0)[0]
    return np.where(hits[-1] > 0, best, np.float32(0.5))


def keep_clear(thresholds: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Move thresholds, float32 [K], off the scores [N, K] of their labels, as little as needed.

    No score is nearer than CLEAR to its threshold then, so that no rounding decides what is active.
    Where scores are so dense that it would move by over 0.01, a threshold stays.
    """
    clear = np.array(thresholds, np.float64)
    for column, threshold in enumerate(clear):
        ends = np.concatenate([[-1.0], np.sort(scores[:, column].astype(np.float64)), [2.0]])
        low, high = ends[:-1] + CLEAR, ends[1:] - CLEAR
        wide = low < high
        nearest = np.clip(threshold, low[wide], high[wide])
        moved = nearest[np.abs(nearest - threshold).argmin()]
        clear[column] = moved if abs(moved - threshold) <= FURTHEST else threshold
    return clear.astype(np.float32)
