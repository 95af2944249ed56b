"""Version transition policies: the order of loads and unloads.

The rules are those of TensorFlow Serving (core/availability_preserving_policy.cc and
core/resource_preserving_policy.cc).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from serving.server.lifecycle.model_registry import Phase, ServedVersion

# Next action, if any: ("load" or "unload", version).
Action = tuple[str, ServedVersion] | None


def preserve_availability(versions: Iterable[ServedVersion]) -> Action:
    """Keep the old version until a new one is ready; both are in memory meanwhile."""
    versions = list(versions)
    aspired = [version for version in versions if version.aspired]
    replaced = [v for v in versions if not v.aspired and v.phase is Phase.READY]
    is_replaceable = not aspired or any(v.phase is Phase.READY for v in aspired)
    if replaced and (is_replaceable or len(replaced) > 1):
        return "unload", min(replaced, key=lambda version: version.number)
    return load_highest(aspired)


def preserve_resources(versions: Iterable[ServedVersion]) -> Action:
    """Unload the old version before loading the new one; meanwhile none is available."""
    versions = list(versions)
    replaced = [version for version in versions if not version.aspired]
    for version in replaced:
        if version.phase is Phase.READY:
            return "unload", version
    if replaced:
        return None
    return load_highest(versions)


def load_highest(versions: Iterable[ServedVersion]) -> Action:
    """Load the highest version that was not tried yet."""
    untried = [version for version in versions if version.phase is Phase.NEW]
    return ("load", max(untried, key=lambda version: version.number)) if untried else None


VERSION_POLICIES: dict[str, Callable[[Iterable[ServedVersion]], Action]] = {
    "availability_preserving": preserve_availability,
    "resource_preserving": preserve_resources,
}
