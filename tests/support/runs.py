"""Finished runs of the model `tiny`."""

from __future__ import annotations

from pathlib import Path

from tests.support.data import write_messages
from tfpipe.config import TrainConfig
from tfpipe.run_folder import Run
from tfpipe.train import train


def tiny_config(folder: Path, **values: object) -> TrainConfig:
    """A configuration that trains `tiny` on fresh messages in seconds."""
    data = folder / "messages.tsv"
    if not data.exists():
        write_messages(data)
    settings: dict = {
        "train": str(data),
        "dev": "0.2",
        "model": "tiny",
        "epochs": 3,
        "batch_size": 8,
        "max_length": 16,
        # What `auto` takes depends on the machine.
        "precision": "float32",
        "output": str(folder / "run"),
    }
    return TrainConfig(**(settings | values))


def tiny_run(folder: Path, **values: object) -> Run:
    """A finished run of `tiny_config`."""
    folder.mkdir(parents=True, exist_ok=True)
    return train(tiny_config(folder, **values))
