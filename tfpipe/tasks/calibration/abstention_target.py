"""What `--abstain` asks for, read against the label names of train."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tfpipe.errors import UserError, did_you_mean

ABSTAIN = "__abstain__"
# What the label of texts that no other label fits is often called.
OUTSIDE_NAMES = (
    *("oos", "ood", "out_of_scope", "out-of-scope", "out of scope", "out_of_domain"),
    *("域外", "范围外", "超出范围"),
)
DEFAULT_RISK = 0.05


@dataclass(frozen=True)
class AbstentionTarget:
    """The criterion by which a threshold is chosen.

    Attributes:
        outside: The label of texts that no other label fits.
        risk: Without such a label, the share of answers that may be wrong.
    """

    outside: str | None = None
    risk: float = DEFAULT_RISK


def read_abstention_target(text: str | None, label_names: Sequence[str]) -> AbstentionTarget | None:
    """Parse `--abstain`: None, `auto`, a label, or a share of wrong answers.

    `auto` is the label whose name is usual for texts that no other label fits, and a risk of 5 %
    without one. Raises UserError for any other value.
    """
    if text is None:
        return None
    if ABSTAIN in label_names:
        raise UserError(
            "a label is called as an answer that is held back will be",
            repr(ABSTAIN),
            "rename the label, or leave out --abstain",
        )
    if text in label_names:
        return AbstentionTarget(text)
    if text == "auto":
        return AbstentionTarget(next((n for n in label_names if n.lower() in OUTSIDE_NAMES), None))
    try:
        risk = float(text)
    except ValueError:
        raise UserError(
            "--abstain names no label",
            repr(text),
            f"{did_you_mean(text, label_names)}name the label of texts that no other fits, or a"
            " share of wrong answers such as 0.05",
        ) from None
    if not 0 < risk < 1:
        raise UserError(
            "the share of wrong answers that --abstain allows is none",
            text,
            "give a number between 0 and 1, such as 0.05",
        )
    return AbstentionTarget(None, risk)
