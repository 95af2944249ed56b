"""Subprocess that imports the libraries as tfpipe does and prints a JSON line for each.

usage: python import_libraries.py

Run by path, never imported: a library may end its process.
"""

import gc
import json
import runpy
from pathlib import Path


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
    from transformers import TFPreTrainedModel

    (model,) = (base for base in TFPreTrainedModel.__mro__ if base.__name__ == "Model")
    report(transformers_keras=model.__module__.split(".")[0])
    # By path: importing the package would change the environment that is examined.
    internals = runpy.run_path(str(Path(__file__).parents[1] / "library_internals.py"))
    report(keras_tuner_keras=internals["keras_of_keras_tuner"]())


if __name__ == "__main__":
    main()
