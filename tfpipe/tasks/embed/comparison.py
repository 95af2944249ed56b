"""Two models' vectors of the same texts."""

from __future__ import annotations

import numpy as np

from tfpipe.tasks.embed.evaluation import EmbedEvaluation
from tfpipe.tasks.paired import Pair, Side, pair_of, side_of


def compare(a: EmbedEvaluation, b: EmbedEvaluation) -> Pair:
    """Compare what a search finds, and of graded pairs spearman."""

    def side(of: EmbedEvaluation) -> Side:
        return side_of(of, of.statistics, -of.error, of.error == 0)

    quality = "reciprocal place of the right text, less 1"
    if a.similarity is not None:
        quality = "distance from the pair's place in the order of similarity, below zero"
    return pair_of(np.ones(len(a.texts), np.int64), a, side(a), side(b), quality)
