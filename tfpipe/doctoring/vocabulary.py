"""Findings on the model for the texts, and on characters that its vocabulary lacks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from tfpipe.data.examples import Examples
from tfpipe.data.scripts import SCRIPTS, scripts_of
from tfpipe.data.unknown_tokens import WARNED, UnknownTokens
from tfpipe.doctoring.findings import Finding, note, ok, problem
from tfpipe.model.choice import STARTER, ModelChoice

ABOUT = "unknown_tokens"
# BERTs of the hub, for texts that are mostly Chinese and for others.
HUB = {
    "han": "google-bert/bert-base-chinese and hfl/chinese-roberta-wwm-ext",
    "other": "google-bert/bert-base-multilingual-cased and"
    " sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2",
}


def describe_choice(choice: ModelChoice, train: Examples) -> Finding:
    """Return which model training takes and, for texts that are not English, those of the hub."""
    sentence = f"Training takes {choice}."
    if choice.name != STARTER or choice.missing:
        counts = np.bincount(scripts_of(train.texts), minlength=len(SCRIPTS))
        han = counts[SCRIPTS.index("han")]
        other = counts.sum() - han - counts[SCRIPTS.index("latin")] - counts[SCRIPTS.index("none")]
        sentence += f" Of the hub, --model {HUB['han' if han > other else 'other']} read them, too."
    return (note if choice.missing else ok)("model", sentence, choice.name)


def describe_unknown(unknown: UnknownTokens) -> Finding:
    """Return the shares by script, or the warning of them."""
    sentence = unknown.warning or unknown.note
    if sentence is None:
        return ok(ABOUT, f"Unknown tokens: {unknown}.", unknown.as_json())
    return note(ABOUT, f"{sentence[0].upper()}{sentence[1:]}.", unknown.as_json())


def is_uncovered(findings: Iterable[Finding]) -> bool:
    """Return whether there are so many unknown tokens that another model should be trained."""
    return any(
        finding.about == ABOUT and UnknownTokens.from_json(finding.value).exceeds(WARNED)
        for finding in findings
    )


def describe_measured(
    measured: Mapping[str, Any] | None, model: str | None = None
) -> Iterator[Finding]:
    """Yield the counts that training recorded; nothing for models of versions without them."""
    if measured is None:
        return
    try:
        yield describe_unknown(UnknownTokens.from_json(measured, model))
    except (AttributeError, KeyError, TypeError):
        yield problem(ABOUT, "The counts of unknown tokens cannot be read.", measured)
