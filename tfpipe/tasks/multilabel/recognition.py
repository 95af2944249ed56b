"""Labels that are several: joined by bars, or lists of names."""

from __future__ import annotations

from collections.abc import Collection

from tfpipe.data.label_values import choices_of, parse_literal
from tfpipe.tasks.spec import Recognition


def recognise(labels: Collection[str], pairs: bool) -> Recognition | None:
    """Recognise labels of which some hold a bar, or are a list of none or several names."""
    joined = sorted(label for label in labels if "|" in label or _is_several(label))
    if not joined:
        return None
    several = f"{len(joined):,} different labels are lists of names, or hold `|`"
    if not joined[1:]:
        several = "A label is a list of names, or holds `|`"
    return Recognition(
        f"{several}, such as {joined[0][:60]!r}: --task multilabel reads it as several."
    )


def _is_several(label: str) -> bool:
    names = choices_of(parse_literal(label))
    return names is not None and len(names) != 1
