"""Subprocess that imports the libraries as tfpipe does and prints a JSON line for each.

usage: python import_libraries.py

Run by path, never imported: a library may end its process.
"""

import gc
import json


def report(**found: object) -> None:
    """Print a JSON object at once."""
    print(json.dumps(found), flush=True)


def main() -> None:
    """Import the libraries one after the other."""
    # A tenth of the time, and there is nothing to collect.
    gc.disable()
    import tensorflow as tf

    build = tf.sysconfig.get_build_info()
    gpus = []
    for gpu in tf.config.list_physical_devices("GPU"):
        details = tf.config.experimental.get_device_details(gpu)
        gpus.append(details.get("device_name", gpu.name))
    report(
        tensorflow=tf.__version__,
        tensorflow_keras=tf.keras.Model.__module__.split(".")[0],
        cuda=build.get("cuda_version") if build.get("is_cuda_build") else None,
        gpus=gpus,
    )
    from transformers import modeling_tf_utils

    report(transformers_keras=modeling_tf_utils.keras.Model.__module__.split(".")[0])
    from keras_tuner.src.backend import keras as tuners_keras

    report(keras_tuner_keras=tuners_keras.Model.__module__.split(".")[0])


if __name__ == "__main__":
    main()
