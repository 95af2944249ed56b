"""A fresh process that opens an export as a stranger would: TensorFlow alone.

usage: python reload.py EXPORT INPUTS.json OUTPUTS.npz

INPUTS.json holds {"text": [...]} and with pairs "text_pair"; OUTPUTS.npz gets `label` (UTF-8
strings) and `scores` float32 [N, K] of serving_default. Run by path, never imported.
"""

import json
import sys

import numpy as np
import tensorflow as tf

BATCH = 64


def main(export: str, inputs: str, outputs: str) -> None:
    serve = tf.saved_model.load(export).signatures["serving_default"]
    with open(inputs, encoding="utf-8") as file:
        columns = json.load(file)
    labels: list[str] = []
    scores: list[np.ndarray] = []
    for start in range(0, len(columns["text"]), BATCH):
        batch = {name: tf.constant(c[start : start + BATCH]) for name, c in columns.items()}
        answer = serve(**batch)
        labels.extend(label.decode() for label in answer["label"].numpy())
        scores.append(answer["scores"].numpy())
    foreign = {"tfpipe", "transformers"} & set(sys.modules)
    if foreign:
        sys.exit(f"the fresh process imported {', '.join(sorted(foreign))}")
    np.savez(outputs, label=np.array(labels), scores=np.concatenate(scores))


if __name__ == "__main__":
    main(*sys.argv[1:])
