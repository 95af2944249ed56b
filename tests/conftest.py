"""Shared by all tests: a tiny real world on two logical CPU devices, offline."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

# Before TensorFlow is imported: no hub, no user's cache.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TFPIPE_CACHE"] = tempfile.mkdtemp(prefix="tfpipe-test-cache-")

import pytest

import tfpipe  # noqa: F401  (sets up the environment of TensorFlow and transformers)

if TYPE_CHECKING:
    from tfpipe.export import Export
    from tfpipe.run_folder import Run

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session", autouse=True)
def two_devices() -> None:
    """Two logical CPU devices stand for two replicas."""
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)


@pytest.fixture(scope="session", autouse=True)
def logged() -> None:
    """What tfpipe logs is on standard error, as its commands print it."""
    from tfpipe.cli import log_to_stderr

    log_to_stderr()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data sets beside the checkout; skips where there is none."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no ../shared/data beside this checkout")
    return folder


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Export]:
    """A tiny run and its first export; tests copy what they change."""
    from tests.support.runs import tiny_run
    from tfpipe.config import ExportConfig
    from tfpipe.export import export

    folder = tmp_path_factory.mktemp("published")
    run = tiny_run(folder, epochs=8)
    config = ExportConfig(
        run=str(run.folder),
        to=str(folder / "models" / "tiny"),
        # What `auto` takes depends on the machine.
        precision="float32",
        measure_serving=False,
        require="dev.accuracy>0.5",
    )
    return run, export(config)
