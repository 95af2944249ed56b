"""Visitors' texts as a table for labelling, which `tfpipe.train` reads once it is complete."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tfpipe.apps.support.store import Store
from tfpipe.config import SupportExportConfig
from tfpipe.errors import UserError
from tfpipe.io.tables import check_target, write_table

HEADER = ("text", "label", "suggested", "score", "kind", "id")


def export_texts(config: SupportExportConfig, database: Path) -> int:
    """Write the texts, the least sure first; each text once.

    Args:
        config: What is written, and where.
        database: The conversations.

    Returns:
        The number of texts.

    Raises:
        UserError: There are no conversations, or the file cannot be written.
    """
    check_target(Path(config.out), "--out", config.overwrite)
    if not database.is_file():
        raise UserError(
            "there are no conversations",
            f"no file {database}",
            "name the --data-dir of the application",
        )
    store = Store(database)
    try:
        rows = {row[0]: row for row in _rows(store.run_now(store.questions), config)}
    finally:
        store.close()
    return write_table(Path(config.out), HEADER, sorted(rows.values(), key=lambda row: row[3]))


def _rows(questions: list[dict[str, Any]], config: SupportExportConfig) -> Iterator[list[Any]]:
    for one in questions:
        # Of a choice of neither the label is as unknown as without one.
        label = one["chosen"] or ""
        if (config.unsure and one["kind"] == "answer") or (config.labelled and not label):
            continue
        score = round(one["score"] or 0.0, 4)
        yield [one["question"], label, one["intent"] or "", score, one["kind"], one["id"]]
