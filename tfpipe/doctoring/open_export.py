"""A process that opens an export, answers 32 texts of full length and prints what that took.

usage: python open_export.py EXPORT MAX_LENGTH

Prints a JSON object: bytes of memory that are held after TensorFlow's import (`base`), after the
export was opened (`opened`) and after it answered (`answered`), and the most ever (`peak`);
`seconds_to_open`, `seconds_to_first_answer`; `labels` and `columns`, the labels it answered and
the width of its scores; `operations` that have a kernel for CPU. Run by path, never imported: it
is TensorFlow alone that opens the export.
"""

import json
import resource
import sys
import time
from pathlib import Path

import tensorflow as tf
from tensorflow.python.framework import kernels

BATCH_SIZE = 32


def held_bytes() -> int:
    """Resident memory of this process."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return most_bytes()
    return pages * resource.getpagesize()


def most_bytes() -> int:
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def main(export: str, max_length: str) -> None:
    # The first operation sets up TensorFlow's own threads and buffers.
    tf.constant(1.0) + 1.0
    found: dict[str, object] = {"base": held_bytes()}
    began = time.perf_counter()
    # Kept: the signature does not keep the model whose tables it looks into.
    model = tf.saved_model.load(export)
    found |= {"seconds_to_open": time.perf_counter() - began, "opened": held_bytes()}
    serve = model.signatures.get("serving_default")
    specs = serve.structured_input_signature[1] if serve else {}
    if serve and specs and all(spec.dtype == tf.string for spec in specs.values()):
        short, long = (tf.constant([text]) for text in ("a text", "text " * int(max_length)))
        answer = serve(**dict.fromkeys(specs, short))
        found["seconds_to_first_answer"] = time.perf_counter() - began
        # A question is short, and its context what fills the input.
        full = {name: short if name == "question" else long for name in specs}
        serve(**{name: tf.repeat(text, BATCH_SIZE) for name, text in full.items()})
        found |= {"answered": held_bytes()}
        if "label" in answer:
            found["labels"] = [label.decode() for label in answer["label"].numpy()]
        if "scores" in answer:
            found["columns"] = answer["scores"].shape[-1]
    found["peak"] = most_bytes()
    listed = kernels.get_all_registered_kernels().kernel
    devices = ("CPU", "DEFAULT")
    found["operations"] = sorted({kernel.op for kernel in listed if kernel.device_type in devices})
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
