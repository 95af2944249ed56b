"""Gold labels that may be wrong: confident learning on texts outside of train."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tfpipe.tasks.sections import Suspect, Suspects

# The method's name where nothing is suspected: the model is not better than the baseline.
BELOW_BASELINE = "below_baseline"
# A model that is unsure of all labels reaches its low thresholds and is no reason to doubt a label:
# the other one must be more probable than all the rest together.
LEAST_SCORE = 0.5


def find_suspects(
    texts: Sequence[str],
    label_names: Sequence[str],
    gold: np.ndarray,
    scores: np.ndarray,
    most: int,
) -> Suspects:
    """Find examples that count as another label, ordered by the difference of scores.

    A label's threshold is the mean score that its own texts give it; a text counts as the best
    label whose threshold it reaches, and is suspected when that is not its gold label and has a
    score above 0.5. The labels' own thresholds keep a model that is unsure of a label from
    suspecting all of its texts.

    Source: Northcutt, Jiang and Chuang 2021, section 3.1, ranked by normalized margin
    (https://arxiv.org/abs/1911.00068).

    Args:
        texts: N texts.
        label_names: The K names.
        gold: int [N].
        scores: float [N, K], probabilities.
        most: The number of suspects returned.

    Returns:
        The suspects; none, with the method BELOW_BASELINE, of a model whose accuracy is not more
        than a standard error above that of always answering the most frequent label.
    """
    gold = np.asarray(gold)
    if len(gold) and not _exceeds_baseline(gold, scores):
        return Suspects([], 0, len(gold), BELOW_BASELINE)
    support = np.bincount(gold, minlength=len(label_names))
    own = scores[np.arange(len(gold)), gold]
    with np.errstate(invalid="ignore"):
        thresholds = np.bincount(gold, own, minlength=len(label_names)) / support
    # Nothing counts as a label that dev has no text of, for its threshold is not known.
    reached = np.where(scores >= np.where(support > 0, thresholds, np.inf), scores, -1.0)
    counted = reached.argmax(axis=1)
    suspected = np.flatnonzero((reached.max(axis=1) > LEAST_SCORE) & (counted != gold))
    margins = scores[suspected, counted[suspected]] - own[suspected]
    ordered = suspected[np.argsort(-margins, kind="stable")]
    rows = [
        Suspect(
            texts[row],
            label_names[gold[row]],
            label_names[counted[row]],
            float(own[row]),
            float(scores[row, counted[row]]),
        )
        for row in ordered[:most].tolist()
    ]
    return Suspects(rows, len(ordered), len(gold))


def _exceeds_baseline(gold: np.ndarray, scores: np.ndarray) -> bool:
    accuracy = float((scores.argmax(axis=1) == gold).mean())
    error = np.sqrt(accuracy * (1 - accuracy) / len(gold))
    return accuracy - error > np.bincount(gold).max() / len(gold)
