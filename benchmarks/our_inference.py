"""Our model in benchmarks/inference.py: an export run as by the server and TensorFlow Serving.

    python our_inference.py EXPORT DATA.tsv [CONFIG]

CONFIG is a tensorflow.ConfigProto in text format, as --tensorflow_session_config_file has it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent / "peers"))

import numpy as np
import tensorflow as tf
from answering import answer_lines
from google.protobuf import text_format

from benchmarks.texts import read_texts
from serving.server.inference.loaded_model import LoadedModel


def main(export: str, data: str, settings: str = "") -> None:
    """Answer the lines of standard input until it ends."""
    folder = Path(export)
    config = text_format.Parse(settings, tf.compat.v1.ConfigProto())
    model = LoadedModel("ours", int(folder.name), folder, session_config=config)
    signature = model.signatures["serving_default"]
    text_input = signature.inputs["text"].name
    fetches = [signature.outputs[name].name for name in ("label", "scores")]

    def classify(texts: list[str]) -> tuple[list[str], np.ndarray]:
        feed = np.array([text.encode() for text in texts], dtype=object)
        (_, labels), (_, scores) = model.run_unbatched({text_input: feed}, fetches, None)
        return [label.decode() for label in labels], scores

    answer_lines(classify, read_texts(data))


if __name__ == "__main__":
    main(*sys.argv[1:])
