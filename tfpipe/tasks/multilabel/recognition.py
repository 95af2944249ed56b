"""Labels that are several joined by bars."""

from __future__ import annotations

from collections.abc import Collection

from tfpipe.tasks.spec import Recognition


def recognise(labels: Collection[str], pairs: bool) -> Recognition | None:
    """Recognise labels of which some hold a bar."""
    joined = sorted(label for label in labels if "|" in label)
    if not joined:
        return None
    several = f"{len(joined):,} different labels hold `|`" if joined[1:] else "A label holds `|`"
    return Recognition(
        f"{several}, such as {joined[0][:60]!r}: --task multilabel reads it as several."
    )
