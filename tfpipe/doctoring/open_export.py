"""Subprocess that opens an export, answers 32 texts of full length and prints time and memory.

usage: python open_export.py EXPORT MAX_LENGTH

Prints a JSON object: bytes of resident memory after TensorFlow's import (`base`), after the
export was opened (`opened`) and after it answered (`answered`), and at most (`peak`);
`seconds_to_open`, `seconds_to_first_answer`; `labels` and `columns`, the labels it answered and
the width of its scores; `operations` that have a kernel for CPU. Run by path, never imported: only
TensorFlow is imported to open the export.
"""

import json
import resource
import runpy
import sys
import time
from pathlib import Path

import tensorflow as tf

# By path: this process must not import the package.
INTERNALS = runpy.run_path(str(Path(__file__).parents[1] / "library_internals.py"))

BATCH_SIZE = 32


def resident_bytes() -> int:
    """Return the resident memory of this process."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return peak_bytes()
    return pages * resource.getpagesize()


def peak_bytes() -> int:
    """Return the largest resident memory of this process so far."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def main(export: str, max_length: str) -> None:
    """Open the export, answer, and print the measurements."""
    # The first operation creates TensorFlow's threads and buffers.
    tf.constant(1.0) + 1.0
    found: dict[str, object] = {"base": resident_bytes()}
    began = time.perf_counter()
    # Referenced: the signature does not keep the model alive whose tables it reads.
    model = tf.saved_model.load(export)
    found |= {"seconds_to_open": time.perf_counter() - began, "opened": resident_bytes()}
    serve = model.signatures.get("serving_default")
    specs = serve.structured_input_signature[1] if serve else {}
    if serve and specs and all(spec.dtype == tf.string for spec in specs.values()):
        short, long = (tf.constant([text]) for text in ("a text", "text " * int(max_length)))
        answer = serve(**dict.fromkeys(specs, short))
        found["seconds_to_first_answer"] = time.perf_counter() - began
        # A question is short; its context fills the input.
        full = {name: short if name == "question" else long for name in specs}
        serve(**{name: tf.repeat(text, BATCH_SIZE) for name, text in full.items()})
        found |= {"answered": resident_bytes()}
        if "label" in answer:
            found["labels"] = [label.decode() for label in answer["label"].numpy()]
        if "scores" in answer:
            found["columns"] = answer["scores"].shape[-1]
    found["peak"] = peak_bytes()
    found["operations"] = INTERNALS["cpu_operations"]()
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
