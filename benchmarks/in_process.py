"""The upper bound of benchmarks/serving.py: the export run in this process, without a server.

    python in_process.py EXPORT DATA.tsv

Reads lines `BATCH SECONDS` from standard input; answers each with texts a second and the median
milliseconds of a batch.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np

from benchmarks.texts import read_texts
from serving.server.inference.model import LoadedModel


def main(export: str, data: str) -> None:
    """Answer the lines of standard input until it ends."""
    folder = Path(export)
    model = LoadedModel("ceiling", int(folder.name), folder)
    signature = model.signatures["serving_default"]
    fetches = [info.name for info in signature.outputs.values()]
    texts = np.array([text.encode() for text in read_texts(data)], dtype=object)
    print("ready", flush=True)
    for line in sys.stdin:
        size, seconds = int(line.split()[0]), float(line.split()[1])
        taken: list[float] = []
        start = 0
        begun = time.perf_counter()
        while time.perf_counter() - begun < seconds:
            batch = texts[start : start + size]
            start = (start + size) % (len(texts) - size)
            before = time.perf_counter()
            model.run_alone({signature.inputs["text"].name: batch}, fetches, None)
            taken.append(time.perf_counter() - before)
        rate = len(taken) * size / (time.perf_counter() - begun)
        print(rate, statistics.median(taken) * 1000, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
