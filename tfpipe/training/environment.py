"""The environment of a run: versions and devices."""

from __future__ import annotations

import importlib.metadata
import platform

import tensorflow as tf

import tfpipe

PACKAGES = ("tensorflow", "tf-keras", "transformers", "numpy")


def describe_environment(strategy: tf.distribute.Strategy) -> dict[str, str]:
    """Describe versions, system and devices for metrics.json and the report."""
    devices = tf.config.list_physical_devices("GPU") or tf.config.list_physical_devices("CPU")
    return {
        "tfpipe": tfpipe.__version__,
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in PACKAGES},
        "system": f"{platform.system()} {platform.machine()}",
        "devices": ", ".join(device.name for device in devices),
        "strategy": f"{type(strategy).__name__}, {strategy.num_replicas_in_sync} replica(s)",
    }
