"""Default training settings that depend on the model and the data."""

from __future__ import annotations

import math
from itertools import pairwise

LEAST_STEPS = 400
# Peak rates by width. That of 384 was chosen on held-out halves of five dev sets with the starter;
# those of 768 and 1,024 are usual for BERT.
RATES = {64: 2.665e-3, 384: 3e-4, 768: 5e-5, 1024: 3.155e-5}

# Of a model which its width does not suit: `multilingual`, with twice the starter's layers, does
# not learn from longer texts at 3e-4.
MODEL_RATES = {"multilingual": 1e-4}

# Factor of these rates where an adapter is trained in place of the model.
ADAPTER_FACTOR = 5.0

# Peak rates of pooler and head where that of the other layers does not suit them. The vectors of
# `multilingual` are alike before training: at the rate of the layers its head needs more epochs.
HEAD_RATES = {"multilingual": 2e-3}
# Of --few-shot, whose head learns from few texts and alone: its peak rate, and epochs.
FEW_SHOT_HEAD_RATE, FEW_SHOT_EPOCHS = 1e-2, 4
# Models whose vocabulary is trimmed to the scripts of the training texts by default.
TRIMMED = ("multilingual",)


def default_rate(hidden_size: int, model: str = "", adapter: str | None = None) -> float:
    """Compute the peak rate of a model: by its name, or by its width.

    It is 3e-4 at a width of 384, 5e-5 at 768, 3.155e-5 at 1,024. Between widths it is interpolated
    on logarithmic scales, beyond them it is the nearest. It has four significant digits, so that a
    rate copied from a log or a file is the same.

    Args:
        hidden_size: The width.
        model: The model's name.
        adapter: The method or the folder of the adapter that is trained, for which it is higher;
            None where the model is.
    """
    width = min(max(hidden_size, min(RATES)), max(RATES))
    low, high = next(pair for pair in pairwise(RATES) if width <= pair[1])
    share = math.log(width / low) / math.log(high / low)
    factor = 1.0 if adapter is None else ADAPTER_FACTOR
    rate = MODEL_RATES.get(model, RATES[low] ** (1 - share) * RATES[high] ** share)
    return float(f"{factor * rate:.4g}")


def default_head_rate(model: str, few_shot: bool = False) -> float | None:
    """Return the peak rate of pooler and head; None for that of the other layers."""
    return FEW_SHOT_HEAD_RATE if few_shot else HEAD_RATES.get(model)


def default_epochs(steps_an_epoch: int, few_shot: bool = False) -> int:
    """Compute the number of epochs: 4; up to 10 where these make fewer than 400 steps.

    Of --few-shot it is that of the head alone.
    """
    if few_shot:
        return FEW_SHOT_EPOCHS
    return max(4, min(10, -(-LEAST_STEPS // steps_an_epoch)))
