"""Whoever answers texts: a run, an export or a server."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

# By name, as the task decodes them: label str [B], score float32 [B], scores float32 [B, K].
Answers: TypeAlias = "dict[str, np.ndarray]"
# What a model must answer for this command to write it down.
OUTPUTS = ("label", "score", "scores")
LONGEST_INPUT = 512


@dataclass(frozen=True)
class Answerer:
    """A model that answers batches of texts, from several threads at once.

    identity: which model it is, the same whenever the answers would be; pairs: whether it reads
    two texts a row; label_names: in column order, None where the model does not tell them;
    parallel: batches that it works on at once.
    """

    identity: str
    pairs: bool
    label_names: Sequence[str] | None
    max_length: int
    parallel: int
    answer: Callable[[list[str], list[str] | None], Answers]


def parse_info(text: str | bytes) -> dict[str, Any]:
    """What a model's `info` tells of it; empty for another project's, which may be anything."""
    try:
        told = json.loads(text)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}
