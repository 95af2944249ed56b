"""Checks of an export: core operations only, and the parity that was recorded at its export."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tfpipe.doctoring.findings import Finding, note, ok, problem
from tfpipe.exporting.unsupported_ops import find_operations, find_unsupported
from tfpipe.exporting.verify_export import PARITY_FILE


def describe_operations(export: Path, found: Mapping[str, Any]) -> Iterator[Finding]:
    """Check that every operation is of TensorFlow's core.

    Args:
        export: The SavedModel's folder.
        found: Measurements of the process that opened it.
    """
    if "operations" not in found:
        return
    used = find_operations(export)
    unsupported = find_unsupported(used, found["operations"])
    if unsupported:
        text = f"It needs operations beyond TensorFlow's core: {'; '.join(map(str, unsupported))}."
        yield problem("operations", text, [one.operation for one in unsupported])
        return
    text = f"All {len(used)} kinds of operations in it are of TensorFlow's core."
    yield ok("operations", text, len(used))


def describe_proofs(export: Path, info: Mapping[str, Any]) -> Iterator[Finding]:
    """Check the parity tables that were written when it was published."""
    tables = info.get("parity")
    try:
        if (export / PARITY_FILE).is_file():
            tables = json.loads((export / PARITY_FILE).read_text(encoding="utf-8"))
    except ValueError as error:
        yield problem("parity", f"{PARITY_FILE} cannot be read: {error}.")
        return
    if not isinstance(tables, dict):
        text = "It has no record of the parity with training."
        yield note("parity", text)
        return
    tolerance = tables.get("score_tolerance", 0.0)
    rows = {name: row for name, row in tables.items() if isinstance(row, dict)}
    # The tokenizer's table has one row a corpus.
    for name, row in list(rows.items()):
        if all(isinstance(value, dict) for value in row.values()):
            rows |= {f"{name}, {corpus}": inner for corpus, inner in row.items()}
            del rows[name]
    for name, row in rows.items():
        wrong = row.get("other_labels", row.get("mismatches", 0))
        difference = row.get("largest_difference")
        text = f"Parity, {name.replace('_', ' ')}: {row.get('texts')} texts, {wrong} answered"
        text += " otherwise"
        if difference is not None:
            text += f", largest score difference {difference:.1e}"
        holds = not wrong and (difference or 0.0) <= tolerance
        yield (ok if holds else problem)(f"parity.{name}", f"{text}.", row)
