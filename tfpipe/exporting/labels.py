"""The label table of the version that an export would replace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from tfpipe.errors import UserError
from tfpipe.exporting.graph import INFO
from tfpipe.exporting.info import read_info
from tfpipe.exporting.objects import local_copy
from tfpipe.exporting.publish import list_versions
from tfpipe.exporting.store import MODEL, Store

MEND = (
    "clients that count columns would read wrong labels: train with the old labels, export under"
    " another name, or add --allow-new-labels"
)


def refuse_new_labels(base: Path | str, labels: Sequence[str]) -> None:
    """Raise UserError unless FOLDER/NAME's highest version has the same labels in the same order.

    base: FOLDER/NAME, or its URL in a store. Nothing is refused where there is no version yet.
    """
    versions: Mapping[int, Path | str] = (
        Store(base).list_versions() if isinstance(base, str) else list_versions(base)
    )
    if not versions:
        return
    before = versions[max(versions)]
    with local_copy(before, only=(INFO.as_posix(), MODEL)) as folder:
        known = (read_info(folder) or {}).get("labels")
    if not isinstance(known, list):
        raise UserError(
            "the labels of the version before cannot be read",
            f"no label names in the info of {before}",
            "export under another name, or add --allow-new-labels",
        )
    if known != list(labels):
        raise UserError(
            f"the labels differ from those of {before}", _describe(known, list(labels)), MEND
        )


def _describe(before: list[str], now: list[str]) -> str:
    new, gone = [n for n in now if n not in before], [n for n in before if n not in now]
    told = [f"{what} {_few(names)}" for what, names in (("new", new), ("gone", gone)) if names]
    if not told:
        column = next(i for i, pair in enumerate(zip(before, now, strict=True)) if len({*pair}) > 1)
        return f"another order: column {column} was {before[column]!r} and is {now[column]!r}"
    return f"{len(before)} labels before, {len(now)} now; {'; '.join(told)}"


def _few(names: list[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(map(repr, names[:5])) + more
