"""The label table of the version that an export would replace."""

from __future__ import annotations

from collections.abc import Sequence

from tfpipe.errors import UserError
from tfpipe.exporting.info import INFO, read_info
from tfpipe.exporting.local_versions import PublishTarget
from tfpipe.exporting.object_store import local_copy
from tfpipe.locations import SAVED_MODEL
from tfpipe.text_display import list_few

MEND = (
    "clients that count columns would read wrong labels: train with the old labels, export under"
    " another name, or add --allow-new-labels"
)


def refuse_new_labels(target: PublishTarget, labels: Sequence[str]) -> None:
    """Raise UserError unless the target's highest version has the same labels in the same order.

    Nothing is refused where there is no version yet.
    """
    versions = target.list_versions()
    if not versions:
        return
    before = versions[max(versions)]
    with local_copy(before, only=(INFO.as_posix(), SAVED_MODEL)) as folder:
        known = read_info(folder).get("labels")
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
    told = [f"{what} {list_few(names)}" for what, names in (("new", new), ("gone", gone)) if names]
    if not told:
        column = next(i for i, pair in enumerate(zip(before, now, strict=True)) if len({*pair}) > 1)
        return f"another order: column {column} was {before[column]!r} and is {now[column]!r}"
    return f"{len(before)} labels before, {len(now)} now; {'; '.join(told)}"
