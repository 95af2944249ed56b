"""A fresh process that opens an export as a stranger would: TensorFlow alone.

usage: python reload.py EXPORT BATCHES.json FOLDER

BATCHES.json holds a list of batches, each {"text": [base64, ...]} and with pairs "text_pair".
FOLDER gets operations.json, the names of all operations with a kernel for CPU, and answers.npz
with `label` (UTF-8 strings [N]) and `scores` float32 [N, K] of serving_default for all batches,
and `rows`, the number of answers to each. Run by path, never imported.
"""

import base64
import json
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow.python.framework import kernels


def main(export: str, batches: str, folder: str) -> None:
    listed = kernels.get_all_registered_kernels().kernel
    names = {kernel.op for kernel in listed if kernel.device_type in ("CPU", "DEFAULT")}
    Path(folder, "operations.json").write_text(json.dumps(sorted(names)), encoding="utf-8")
    # Kept: the signature does not keep the model whose tables it looks into.
    model = tf.saved_model.load(export)
    serve = model.signatures["serving_default"]
    labels: list[np.ndarray] = []
    scores: list[np.ndarray] = []
    for batch in json.loads(Path(batches).read_text(encoding="utf-8")):
        columns = {name: [base64.b64decode(text) for text in batch[name]] for name in batch}
        answer = serve(**{name: tf.constant(texts, tf.string) for name, texts in columns.items()})
        labels.append(answer["label"].numpy())
        scores.append(answer["scores"].numpy())
    foreign = {"tfpipe", "transformers"} & set(sys.modules)
    if foreign:
        sys.exit(f"the fresh process imported {', '.join(sorted(foreign))}")
    np.savez(
        Path(folder, "answers.npz"),
        label=np.array([label.decode() for batch in labels for label in batch], np.str_),
        scores=np.concatenate(scores),
        rows=np.array([len(batch) for batch in scores]),
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
