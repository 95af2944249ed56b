"""Subprocess that opens an export with TensorFlow alone.

usage: python clean_process_worker.py EXPORT BATCHES.json FOLDER

BATCHES.json holds a list of batches, each {"text": [base64, ...]}, by input.
FOLDER gets operations.json, the names of all operations with a kernel for CPU, and answers.npz
with all outputs of serving_default, strings as str: "0 scores" are the scores of the first batch.
Run by path, never imported.
"""

import base64
import json
import runpy
import sys
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

# By path: this process must not import the package.
INTERNALS = runpy.run_path(str(Path(__file__).parents[1] / "library_internals.py"))


def main(export: str, batches: str, folder: str) -> None:
    """Write the operations and answers."""
    names = INTERNALS["cpu_operations"]()
    Path(folder, "operations.json").write_text(json.dumps(names), encoding="utf-8")
    # Referenced: the signature does not keep the model alive whose tables it reads.
    model = tf.saved_model.load(export)
    serve = model.signatures["serving_default"]
    answers: dict[str, Any] = {}
    for number, batch in enumerate(json.loads(Path(batches).read_text(encoding="utf-8"))):
        columns = {name: [base64.b64decode(text) for text in batch[name]] for name in batch}
        answer = serve(**{name: tf.constant(texts, tf.string) for name, texts in columns.items()})
        for name, values in answer.items():
            answers[f"{number} {name}"] = decode_strings(values.numpy())
    foreign = {"tfpipe", "transformers"} & set(sys.modules)
    if foreign:
        sys.exit(f"the fresh process imported {', '.join(sorted(foreign))}")
    np.savez(Path(folder, "answers.npz"), **answers)


def decode_strings(values: np.ndarray) -> np.ndarray:
    """Decode bytes, which may be invalid UTF-8, as str; numbers stay."""
    if values.dtype.kind != "O":
        return values
    texts = [text.decode("utf-8", "surrogateescape") for text in values.ravel()]
    return np.array(texts, np.str_).reshape(values.shape)


if __name__ == "__main__":
    main(*sys.argv[1:])
