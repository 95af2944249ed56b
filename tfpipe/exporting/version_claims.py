"""Claims of version numbers in an object store, which has no locks.

An export writes a claim to its number, BASE/.claim-N-TIME-TOKEN.tmp, and then lists the claims: of
two exports, the later to list sees both claims and withdraws its own. A claim outlives its export
only where that was killed; a day later the incomplete files of its number are removed. No claim
needs the folder N, which a model server would take for a version.
"""

from __future__ import annotations

import random
import re
import secrets
import time
from contextlib import suppress

import tensorflow as tf

from tfpipe.errors import UserError
from tfpipe.exporting.object_store import list_names, remove_tree, write
from tfpipe.locations import SAVED_MODEL

CLAIM = re.compile(r"\.claim-([0-9]+)-[0-9]+-[0-9a-f]+\.tmp")
STAMPED = re.compile(r"\.(?:claim-[0-9]+|export)-([0-9]+)-[0-9a-f]+\.tmp")
LEFT_AFTER_SECONDS, WAIT_SECONDS, ATTEMPTS = 24 * 3600, 1.0, 20


def list_numbers(base: str) -> dict[int, str]:
    """Return the numbered folders, complete or not, by ascending number; raises OpError."""
    names = [name for name in list_names(base) if name.isascii() and name.isdecimal()]
    return dict(sorted((int(name), f"{base}/{name}") for name in names))


def refuse_claimed(base: str, version: int | None) -> None:
    """Raise UserError where `version` is given and exists or is claimed."""
    if version is not None and version in {*list_numbers(base), *_list_claims(base).values()}:
        raise UserError(
            "this version exists, or was begun less than a day ago",
            f"{base}/{version}",
            "leave out --version for the next number",
        )


def claim_number(base: str, version: int | None) -> tuple[str, int]:
    """Claim `version`, by default the next number.

    Returns:
        The claim's name and the number.

    Raises:
        UserError: `version` is taken, or other exports keep taking the next number.
        OpError: The store fails.
    """
    for _ in range(ATTEMPTS):
        refuse_claimed(base, version)
        taken = max([*list_numbers(base), *_list_claims(base).values()], default=0)
        number = taken + 1 if version is None else version
        claim = write_claim(base, str(number))
        if number not in list_numbers(base) and not _list_other_claims(base, claim):
            return claim, number
        tf.io.gfile.remove(f"{base}/{claim}")
        time.sleep(random.uniform(0, WAIT_SECONDS))
    raise UserError("other exports keep taking the number", base, "export again")


def write_claim(base: str, name: str) -> str:
    """Write a claim to the number `name`; return the claim's name."""
    claim = f".claim-{name}-{stamp()}"
    write(f"{base}/{claim}", claim)
    return claim


def is_held(base: str, claim: str) -> bool:
    """Return whether a claim exists alone, after waiting for later ones to be withdrawn."""
    for _ in range(ATTEMPTS):
        if not _list_other_claims(base, claim):
            return claim in _list_claims(base)
        time.sleep(WAIT_SECONDS)
    return False


def settle(base: str, claim: str) -> None:
    """Remove a claim, and the files at its number unless they are a version or claimed again."""
    place = f"{base}/{claim.split('-')[1]}"
    if not tf.io.gfile.exists(f"{place}/{SAVED_MODEL}"):
        if _list_other_claims(base, claim):
            return
        remove_tree(place)
    # Another export may clear the same leftovers.
    with suppress(tf.errors.NotFoundError):
        tf.io.gfile.remove(f"{base}/{claim}")


def stamp() -> str:
    """Return a unique ending of a name, with the time at which its owner began."""
    return f"{int(time.time())}-{secrets.token_hex(8)}.tmp"


def list_leftovers(base: str) -> list[str]:
    """Return the names of claims and uploads that were begun more than a day ago."""
    return [name for name in list_names(base) if _is_left(name)]


def _is_left(name: str) -> bool:
    match = STAMPED.fullmatch(name)
    return match is not None and time.time() - int(match[1]) > LEFT_AFTER_SECONDS


def _list_claims(base: str) -> dict[str, int]:
    found = [CLAIM.fullmatch(name) for name in list_names(base)]
    return {match[0]: int(match[1]) for match in found if match}


def _list_other_claims(base: str, claim: str) -> list[str]:
    claims, number = _list_claims(base), int(claim.split("-")[1])
    return [c for c, n in claims.items() if n == number and c != claim and not _is_left(c)]
