"""Exports of the shared runs, built once for all tests."""

from __future__ import annotations

import pickle
from pathlib import Path

from tests.support.built_once import build_once
from tests.support.runs import ALL_KINDS, finished_run
from tfpipe.config import ExportConfig
from tfpipe.export import Export, export


def exported(kind: str) -> Export:
    """Return the first export, models/tiny/1, of the run of one of ALL_KINDS; it is for reading."""
    run, one = finished_run(kind), ALL_KINDS[kind]

    def build(folder: Path) -> None:
        config = ExportConfig(
            run=str(run.folder),
            to=str(folder / "models" / "tiny"),
            # What `auto` takes depends on the machine.
            precision="float32",
            measure_serving=False,
            require=f"dev.{one.metric or run.config.best_metric}>{one.at_least}",
        )
        (folder / "export.pickle").write_bytes(pickle.dumps(export(config)))

    folder = build_once(f"{kind}_export", build)
    return pickle.loads((folder / "export.pickle").read_bytes())
