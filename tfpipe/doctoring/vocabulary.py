"""How much of the texts the model's vocabulary lacks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tfpipe.data.unknown_tokens import WARNED, UnknownTokens
from tfpipe.doctoring.findings import Finding, note, ok, problem

ABOUT = "unknown_tokens"


def describe_unknown(unknown: UnknownTokens) -> Finding:
    """The shares by script, or the sentence that warns of them."""
    sentence = unknown.warning or unknown.note
    if sentence is None:
        return ok(ABOUT, f"Unknown tokens: {unknown}.", unknown.as_json())
    return note(ABOUT, f"{sentence[0].upper()}{sentence[1:]}.", unknown.as_json())


def is_uncovered(findings: Iterable[Finding]) -> bool:
    """Whether `describe_unknown` found so many that another model should be trained."""
    return any(
        finding.about == ABOUT and UnknownTokens.from_json(finding.value).exceeds(WARNED)
        for finding in findings
    )


def describe_measured(
    measured: Mapping[str, Any] | None, model: str | None = None
) -> Iterator[Finding]:
    """What training counted and kept; nothing for models of older versions, which kept nothing."""
    if measured is None:
        return
    try:
        yield describe_unknown(UnknownTokens.from_json(measured, model))
    except (AttributeError, KeyError, TypeError):
        yield problem(ABOUT, "The counts of unknown tokens cannot be read.", measured)
