"""Findings on unknown tokens: characters that the model's vocabulary lacks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tfpipe.data.unknown_tokens import WARNED, UnknownTokens
from tfpipe.doctoring.findings import Finding, note, ok, problem

ABOUT = "unknown_tokens"


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
