"""The errors that are the user's to mend: what is wrong, what was found, what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """A mistake the user can mend, in three parts; a command prints it and exits with status 2."""

    def __init__(self, wrong: str, found: str, fix: str):
        super().__init__(f"{wrong}\n  found: {found}\n  to do: {fix}")
        self.wrong, self.found, self.fix = wrong, found, fix


class UserErrors(UserError):
    """Several mistakes told together."""

    def __init__(self, errors: list[UserError]):
        Exception.__init__(self, "\n".join(str(error) for error in errors))
        # An error in `errors` may itself be several.
        self.errors = [one for error in errors for one in getattr(error, "errors", [error])]


class Interrupted(Exception):
    """Work stopped before its end, on a signal or as configured, with its state saved.

    Attributes:
        status: The exit status of a command.
    """

    def __init__(self, status: int, advice: str):
        super().__init__(advice)
        self.status = status


def raise_all(errors: list[UserError]) -> None:
    """Raise what has been collected: nothing, the one error, or all of them together."""
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise UserErrors(errors)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`did you mean 'text'? ` when a known name is close to `name`, else an empty string."""
    close = difflib.get_close_matches(name.lower(), {k.lower(): k for k in known}, n=1, cutoff=0.6)
    original = {k.lower(): k for k in known}
    return f"did you mean {original[close[0]]!r}? " if close else ""
