"""Errors that the user can correct, and the interruption of a command."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class UserError(Exception):
    """A mistake that the user can correct; a command prints it and exits with status 2.

    Attributes:
        wrong: What is wrong.
        found: What was found.
        fix: What to do.
    """

    def __init__(self, wrong: str, found: str, fix: str):
        """Create the error from its three parts."""
        super().__init__(f"{wrong}\n  found: {found}\n  to do: {fix}")
        self.wrong, self.found, self.fix = wrong, found, fix


class UserErrors(UserError):
    """Several errors that are reported together.

    Attributes:
        errors: The errors, each a single one.
    """

    def __init__(self, errors: list[UserError]):
        """Collect the errors; those that are several themselves are flattened."""
        Exception.__init__(self, "\n".join(str(error) for error in errors))
        self.errors = [one for error in errors for one in getattr(error, "errors", [error])]


class Interrupted(Exception):
    """Work stopped before its end, on a signal or as configured, with its state saved.

    Attributes:
        status: The exit status of a command.
    """

    def __init__(self, status: int, advice: str):
        """Create the exception; `advice` is the command that resumes the work."""
        super().__init__(advice)
        self.status = status


def raise_all(errors: list[UserError]) -> None:
    """Raise the collected errors: none, the single one, or all of them together."""
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise UserErrors(errors)


def near_names(name: str, known: Iterable[str], most: int = 3) -> list[str]:
    """Return the known names close to `name`, the closest first."""
    original = {k.lower(): k for k in known}
    close = difflib.get_close_matches(name.lower(), original, n=most, cutoff=0.6)
    return [original[one] for one in close]


@contextmanager
def collected(errors: list[UserError]) -> Iterator[None]:
    """Add a UserError that is raised within the block to the list, and continue after the block."""
    try:
        yield
    except UserError as error:
        errors.append(error)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `did you mean 'text'? ` when a known name is close to `name`, else an empty string."""
    return "".join(f"did you mean {one!r}? " for one in near_names(name, known, most=1))
