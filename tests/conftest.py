"""Shared by all tests: a tiny real world on two logical CPU devices, offline."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

# Before TensorFlow is imported: no hub, no user's cache.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TFPIPE_CACHE"] = tempfile.mkdtemp(prefix="tfpipe-test-cache-")

import pytest

import tfpipe  # noqa: F401  (sets up the environment of TensorFlow and transformers)

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session", autouse=True)
def two_devices() -> None:
    """Two logical CPU devices stand for two replicas."""
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data sets beside the checkout; skips where there is none."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no ../shared/data beside this checkout")
    return folder
