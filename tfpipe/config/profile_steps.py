"""The steps that `--profile-steps` names."""

from __future__ import annotations

from tfpipe.errors import UserError


def parse_steps(text: str) -> tuple[int, int]:
    """Parse `10,20` as (10, 20), both included; raises UserError."""
    first, _, last = text.partition(",")
    if not (first.isdecimal() and last.isdecimal() and 2 <= int(first) <= int(last)):
        raise UserError(
            "--profile-steps takes the first and the last step of the profile, from step 2 on",
            repr(text),
            "give two whole numbers such as 10,20",
        )
    return int(first), int(last)
