"""How the devices of this machine share the work."""

from __future__ import annotations

import tensorflow as tf
import tf_keras

from tfpipe.errors import UserError


def make_strategy(name: str, devices: int) -> tuple[tf.distribute.Strategy, str]:
    """The tf.distribute strategy of that name and a sentence that says what was chosen and why.

    devices: how many to use, 0 for all. Without a GPU, more than one means logical devices on the
    CPU, which must be asked for before TensorFlow has touched it. Raises UserError when there are
    not so many.
    """
    kind = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
    if kind == "CPU" and devices > 1:
        _split_cpu(devices)
    names = [device.name for device in tf.config.list_logical_devices(kind)]
    if devices > len(names):
        raise UserError(
            f"{devices} devices were asked for", f"{len(names)} {kind}", "lower --devices"
        )
    names = names[: devices or len(names)]
    if name == "auto":
        name = "mirrored" if kind == "GPU" and len(names) > 1 else "one_device"
        why = f"auto: {len(names)} {kind} found"
    else:
        why = "as asked"
        if name == "mirrored" and len(names) == 1:
            why += f"; only 1 {kind}, so there is nothing to mirror"
    if name == "one_device":
        names = names[:1]
        strategy: tf.distribute.Strategy = tf.distribute.OneDeviceStrategy(names[0])
    else:
        strategy = tf.distribute.MirroredStrategy(names)
    return strategy, f"{name} on {len(names)} {kind} ({why})"


def use_precision(name: str) -> None:
    """Compute what is built from here on in `float32` or `bfloat16`; weights stay float32.

    bfloat16 is Keras' mixed_bfloat16 policy: layer norm and softmax stay float32. `auto` is
    float32, which is the faster one of the two on a CPU under that policy.
    """
    policy = "mixed_bfloat16" if name == "bfloat16" else "float32"
    tf_keras.mixed_precision.set_global_policy(policy)


def _split_cpu(devices: int) -> None:
    cpu = tf.config.list_physical_devices("CPU")[0]
    split = [tf.config.LogicalDeviceConfiguration() for _ in range(devices)]
    try:
        tf.config.set_logical_device_configuration(cpu, split)
    except RuntimeError:
        # TensorFlow has been used in this process: what was set up before holds, and the caller
        # counts the devices that are there.
        return
