"""The columns that a model was trained on, as defaults for other files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from tfpipe.data.examples import Columns
from tfpipe.data.read_examples import task_of_format
from tfpipe.data.streaming import LOOK_AHEAD
from tfpipe.data.tabular import open_rows
from tfpipe.exporting.info import INFO, parse_info
from tfpipe.locations import locate_model


def trained_columns(folder: str) -> Columns:
    """Return the names of the columns that a run or export was trained on.

    Raises:
        UserError: The folder has no model.
    """
    place = locate_model(folder)
    if place.kind == "run":
        # It imports TensorFlow, and Keras with it, which exports do not need.
        from tfpipe.run_folder import Run

        return Run(place.folder).columns
    file = place.folder / INFO
    info = parse_info(file.read_bytes()) if file.is_file() else {}
    return Columns(**(info.get("columns") or {}))


def prefer_trained(path: str, given: Columns, trained: Columns) -> Columns:
    """Return the columns to read: those given, else those trained on where the file has them.

    Raises:
        UserError: The file cannot be read.
    """
    if task_of_format(Path(path)) or not any(trained.names.values()):
        return given
    header = open_rows(Path(path), LOOK_AHEAD, given).header
    missing = [role for role, name in given.names.items() if name is None]
    found: dict[str, Any] = {
        role: trained.names[role] for role in missing if trained.names[role] in header
    }
    return replace(given, **found)
