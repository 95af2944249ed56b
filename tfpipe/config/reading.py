"""Settings of how a data file is read, which several commands have."""

from __future__ import annotations

from typing import Any

from tfpipe.config.settings import setting

RARE_LABELS = ("error", "drop", "keep")
OFFSETS = ("characters", "utf16", "utf8")


def header_setting(**rules: Any) -> Any:
    """Define whether the first row of a file has the names of the columns."""
    help_text = "the first row of the file has the names of the columns (default: detected)"
    return setting(None, help_text, **rules)


def unknown_labels_setting(**rules: Any) -> Any:
    """Define what becomes of rows to evaluate on whose labels the model was not trained on."""
    help_text = "rows with labels that the model was not trained on: refuse or drop them"
    return setting("error", help_text, choices=RARE_LABELS[:2], **rules)


def offsets_setting(**rules: Any) -> Any:
    """Define what the places of entities in labels count."""
    help_text = "what the places of entities count: `characters` (Unicode), `utf16` code units as"
    help_text += " in Java and JavaScript, or `utf8` bytes"
    return setting("characters", help_text, choices=OFFSETS, **rules)
