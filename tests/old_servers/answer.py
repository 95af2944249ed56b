"""Answers of an export by the TensorFlow of another environment.

usage: python answer.py EXPORT REQUESTS ANSWERS

REQUESTS is a JSON list of [signature, {input: values}]; ANSWERS becomes a list of {output: values}.
Run by path, with TensorFlow alone; Python 3.9 must run it.
"""

import json
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf


def as_json(array):
    """Return nested lists; text in place of bytes."""
    values = np.asarray(array)
    if values.dtype.kind in "OS":
        values = np.vectorize(lambda value: value.decode("utf-8"), otypes=[object])(values)
    return values.tolist()


def main(export: str, requests: str, answers: str) -> None:
    model = tf.saved_model.load(export)
    found = []
    for name, given in json.loads(Path(requests).read_text(encoding="utf-8")):
        signature = model.signatures[name]
        specs = signature.structured_input_signature[1]
        inputs = {key: tf.constant(given[key], spec.dtype) for key, spec in specs.items()}
        outputs = {key: as_json(value.numpy()) for key, value in signature(**inputs).items()}
        found.append(outputs)
    Path(answers).write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
