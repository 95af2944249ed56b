"""Checks of an export: only core operations, and the parity that was proved at its export."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tfpipe.doctoring.findings import Finding, note, ok, problem
from tfpipe.exporting.unsupported_ops import find_operations, find_unsupported
from tfpipe.exporting.verify_export import PARITY_FILE


def describe_operations(export: Path, found: Mapping[str, Any]) -> Iterator[Finding]:
    """Check that every operation is of TensorFlow's core; found: the result of opening it."""
    if "operations" not in found:
        return
    used = find_operations(export)
    unsupported = find_unsupported(used, found["operations"])
    if unsupported:
        told = f"It needs operations beyond TensorFlow's core: {'; '.join(map(str, unsupported))}."
        yield problem("operations", told, [one.operation for one in unsupported])
        return
    told = f"All {len(used)} kinds of operations in it are of TensorFlow's core."
    yield ok("operations", told, len(used))


def describe_proofs(export: Path, info: Mapping[str, Any]) -> Iterator[Finding]:
    """The parity tables that were written when it was published."""
    tables = info.get("parity")
    try:
        if (export / PARITY_FILE).is_file():
            tables = json.loads((export / PARITY_FILE).read_text(encoding="utf-8"))
    except ValueError as error:
        yield problem("parity", f"{PARITY_FILE} cannot be read: {error}.")
        return
    if not isinstance(tables, dict):
        told = "Nothing is recorded of how its answers compare with training's."
        yield note("parity", told)
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
        told = f"Parity, {name.replace('_', ' ')}: {row.get('texts')} texts, {wrong} answered"
        told += " otherwise"
        if difference is not None:
            told += f", largest score difference {difference:.1e}"
        holds = not wrong and (difference or 0.0) <= tolerance
        yield (ok if holds else problem)(f"parity.{name}", f"{told}.", row)
