"""Peer of benchmarks/inference.py: ONNX Runtime, padded to the longest text of the batch.

    python onnx_inference.py export MODEL FOLDER MAX_LENGTH
    python onnx_inference.py FOLDER/NAME.onnx DATA.tsv MAX_LENGTH MODEL

`export` writes FOLDER/float32.onnx, fused by ONNX Runtime's own optimizer for BERT, and
FOLDER/int8.onnx, which is that one with dynamically quantised products.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ |= {"USE_TF": "0", "USE_TORCH": "1"}
sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np
import onnxruntime
from answering import answer_lines, softmax
from transformers import BertConfig, BertTokenizerFast

from benchmarks.texts import read_texts

INPUTS = ("input_ids", "attention_mask", "token_type_ids")


def export(model: str, folder: str, max_length: str) -> None:
    """Write both graphs."""
    import torch
    from onnx import TensorProto
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.transformers import optimizer
    from transformers import BertForSequenceClassification

    bert = BertForSequenceClassification.from_pretrained(model, attn_implementation="eager").eval()
    encoded = BertTokenizerFast.from_pretrained(model)(
        ["a text", "another one"], max_length=int(max_length), return_tensors="pt", padding=True
    )
    plain, fused = Path(folder, "plain.onnx"), Path(folder, "float32.onnx")
    torch.onnx.export(
        bert,
        tuple(encoded[name] for name in INPUTS),
        str(plain),
        input_names=list(INPUTS),
        output_names=["logits"],
        dynamic_axes={name: {0: "texts", 1: "tokens"} for name in INPUTS}
        | {"logits": {0: "texts"}},
        opset_version=17,
        dynamo=False,
    )
    config = bert.config
    optimizer.optimize_model(
        str(plain),
        model_type="bert",
        num_heads=config.num_attention_heads,
        hidden_size=config.hidden_size,
    ).save_model_to_file(str(fused))
    # The quantizer cannot infer the outputs of the fused operations.
    quantize_dynamic(
        fused,
        Path(folder, "int8.onnx"),
        weight_type=QuantType.QInt8,
        extra_options={"DefaultTensorType": TensorProto.FLOAT},
    )


def main(graph: str, data: str, max_length: str, model: str) -> None:
    """Run the command loop."""
    tokenizer, config = BertTokenizerFast.from_pretrained(model), BertConfig.from_pretrained(model)
    labels = config.id2label or {}
    names = [labels[column] for column in range(config.num_labels)]
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])

    def classify(texts: list[str]) -> tuple[list[str], np.ndarray]:
        inputs = tokenizer(
            texts, truncation=True, padding=True, max_length=int(max_length), return_tensors="np"
        )
        logits = session.run(["logits"], {name: inputs[name] for name in INPUTS})[0]
        scores = softmax(logits)
        return [names[column] for column in scores.argmax(1)], scores

    answer_lines(classify, read_texts(data))


if __name__ == "__main__":
    if sys.argv[1] == "export":
        export(*sys.argv[2:])
    else:
        main(*sys.argv[1:])
