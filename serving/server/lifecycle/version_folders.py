"""Version folders of a base path, and their selection by a policy."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

INT64 = range(-(2**63), 2**63)


def list_versions(base_path: Path) -> tuple[dict[int, Path], list[str]]:
    """List the children whose names are int64 numbers; other names are ignored.

    Files are not distinguished from folders, as in TensorFlow Serving.

    Returns:
        Folders by number, and warnings.

    Raises:
        OSError: The base path cannot be listed.
    """
    found: dict[int, Path] = {}
    warnings = []
    for child in sorted(base_path.iterdir()):
        if not re.fullmatch(r"-?[0-9]+", child.name, re.ASCII):
            continue
        number = int(child.name)
        if number not in INT64:
            continue
        if number in found:
            warnings.append(
                f"two folders have version {number}: {child.name} is used, "
                f"{found[number].name} ignored; remove one"
            )
        found[number] = child
    return found, warnings


def choose_versions(found: Mapping[int, Path], policy: Any) -> tuple[dict[int, Path], list[str]]:
    """Return the versions that a ServableVersionPolicy selects, and warnings."""
    choice = policy.WhichOneof("policy_choice")
    if choice == "all":
        return dict(found), []
    if choice == "specific":
        wanted = set(policy.specific.versions)
        missing = ", ".join(map(str, sorted(wanted - set(found))))
        warnings = [f"the config names missing versions: {missing}"]
        return {n: found[n] for n in found if n in wanted}, warnings if missing else []
    highest = sorted(found, reverse=True)[: max(1, policy.latest.num_versions)]
    return {number: found[number] for number in highest}, []


def describe_base_path(base_path: Path) -> str:
    """Return a message on a base path without versions: what was found, what to do."""
    example = base_path / "1" / "saved_model.pb"
    try:
        names = sorted(child.name for child in base_path.iterdir())
    except OSError as error:
        return (
            f"base path {base_path} cannot be read ({error.strerror}); give the folder of the "
            f"numbered versions, as in {example}"
        )
    if "saved_model.pb" in names:
        return (
            f"base path {base_path} is a version itself, it contains saved_model.pb; give its "
            f"parent, with a number as the folder's name, as in {example}"
        )
    return (
        f"base path {base_path} has no version to serve, it contains "
        f"{', '.join(names[:5]) or 'nothing'}; export a model into it, as in {example}"
    )


def fingerprint(folder: Path) -> frozenset[tuple[str, int, int]]:
    """Return name, size and modification time of every file, to detect changes.

    A folder that is removed meanwhile, or is missing, has no files.
    """
    paths, files = [folder], set()
    # Not by Path.rglob, which raises for a folder that is removed meanwhile.
    for place, folders, names in os.walk(folder):
        paths += [Path(place, name) for name in (*folders, *names)]
    for path in paths:
        try:
            state = path.stat()
        except OSError:
            continue
        files.add((str(path.relative_to(folder)), state.st_size, state.st_mtime_ns))
    return frozenset(files)
