"""Peer of benchmarks/inference.py: transformers' TFBert as a SavedModel with string inputs.

    python stock_export.py RUN FOLDER MAX_LENGTH

Our tokenizer stands before it, as without one in the graph there would be no signature on strings;
batches are padded to their longest text.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).parents[2]))

# Before TensorFlow: it sets up the environment of TensorFlow and transformers.
from tfpipe.run_folder import open_run  # isort: skip

import tensorflow as tf

from tfpipe.model import pretrained
from tfpipe.tasks.task import task_of


class StockBert(tf.Module):
    """TFBert with head, tokenizer and decoder."""

    def __init__(self, run: str, max_length: int):
        super().__init__()
        finished = open_run(run)
        model = pretrained.load(finished.model)
        task = task_of(finished.config.task, model)
        self.tokenizer, self.weights = model.tokenizer, list(model.bert.weights)

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
        def serve(text: tf.Tensor) -> dict[str, tf.Tensor]:
            batch = self.tokenizer(text, None, max_length=max_length)
            return task.decode(model.bert(**batch, training=False).logits)

        self.serve = serve


if __name__ == "__main__":
    stock = StockBert(sys.argv[1], int(sys.argv[3]))
    tf.saved_model.save(stock, str(Path(sys.argv[2])), {"serving_default": stock.serve})
