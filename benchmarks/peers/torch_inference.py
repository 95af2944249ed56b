"""Peer of benchmarks/inference.py: PyTorch and transformers, padded to the batch's longest text.

    python torch_inference.py MODEL DATA.tsv MAX_LENGTH float32|bfloat16|autocast

`bfloat16` has weights and activations in bfloat16; `autocast` keeps float32 weights and has
PyTorch choose what runs in bfloat16.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

# The parent process may disable torch in the environment: tfpipe runs without it.
os.environ |= {"USE_TF": "0", "USE_TORCH": "1"}
sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np
import torch
from answering import answer_lines
from transformers import AutoModelForSequenceClassification, BertTokenizerFast

from benchmarks.texts import read_texts


def main(folder: str, data: str, max_length: str, precision: str) -> None:
    """Run the command loop."""
    tokenizer = BertTokenizerFast.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    if precision == "bfloat16":
        model = model.to(torch.bfloat16)
    names = [model.config.id2label[column] for column in range(model.config.num_labels)]

    def classify(texts: list[str]) -> tuple[list[str], np.ndarray]:
        inputs = tokenizer(
            texts, truncation=True, padding=True, max_length=int(max_length), return_tensors="pt"
        )
        with (
            torch.inference_mode(),
            torch.autocast("cpu", torch.bfloat16, enabled=precision == "autocast"),
        ):
            logits = model(**inputs).logits
        scores = logits.float().softmax(-1).numpy()
        return [names[column] for column in scores.argmax(1)], scores

    answer_lines(classify, read_texts(data))


if __name__ == "__main__":
    main(*sys.argv[1:])
