"""A fresh process that plays clients to an export, with TensorFlow alone and as servers run it.

usage: python serving_benchmark_worker.py EXPORT PLAN.json INTRA_OP

PLAN.json holds {"columns": {"text": [base64, ...]}, "loads": [[rows, clients], ...],
"seconds": the least time of a load}. INTRA_OP is the number of threads within an operation, 0 is
TensorFlow's choice: a process has one pool of them, so every setting needs a process of its own.
Prints {"gpus": [...]} when it is warm; then, for every line that it reads, plays each load and
prints [[texts per second, median ms of a request], ...]. Run by path, never imported.
"""

import base64
import json
import math
import os
import statistics
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf


class Load:
    """Requests of `rows` texts, made of all texts, and so many clients that wait for each answer.

    Each client gets to ask at least twice, and all together for `seconds` or longer.
    """

    def __init__(
        self,
        ask: Callable[..., Any],
        columns: Sequence[np.ndarray],
        rows: int,
        clients: int,
        seconds: float,
    ):
        self.ask, self.rows, self.clients = ask, rows, clients
        count = len(columns[0])
        self.requests = [
            [column[start : start + rows] for column in columns] for start in range(0, count, rows)
        ]
        self.times = 1
        # The first time makes what is kept for each shape; the median hardly sees it.
        once = self.play()[1] / 1000 * len(self.requests) / clients
        least = 2 * clients / len(self.requests)
        self.times = math.ceil(max(1, least, seconds / once))

    def play(self) -> tuple[float, float]:
        """Texts per second, and the median milliseconds of a request."""
        requests = iter(self.requests * self.times)
        turn = threading.Lock()
        taken: list[float] = []
        failed: list[Exception] = []

        def be_client() -> None:
            while not failed:
                with turn:
                    request = next(requests, None)
                if request is None:
                    return
                began = time.perf_counter()
                try:
                    self.ask(*request)
                except Exception as error:
                    failed.append(error)
                taken.append(time.perf_counter() - began)

        clients = [threading.Thread(target=be_client) for _ in range(self.clients)]
        began = time.perf_counter()
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        seconds = time.perf_counter() - began
        if failed:
            raise failed[0]
        return len(taken) * self.rows / seconds, statistics.median(taken) * 1000


def open_session(export: str, intra_op: int) -> tuple[list[str], Callable[..., Any]]:
    """The inputs of serving_default, and a function of them that any thread may call."""
    config = tf.compat.v1.ConfigProto(
        allow_soft_placement=True, intra_op_parallelism_threads=intra_op
    )
    # The process that exports, and those of the other settings, use the same one.
    config.gpu_options.allow_growth = True
    graph = tf.Graph()
    session = tf.compat.v1.Session(graph=graph, config=config)
    with graph.as_default():
        loaded = tf.compat.v1.saved_model.load(session, ["serve"], export)
    signature = loaded.signature_def["serving_default"]
    outputs = [graph.get_tensor_by_name(info.name) for info in signature.outputs.values()]
    names = sorted(signature.inputs)
    inputs = [graph.get_tensor_by_name(signature.inputs[name].name) for name in names]
    return names, session.make_callable(outputs, inputs)


def main(export: str, plan: str, intra_op: str) -> None:
    # TensorFlow and what it loads may print; only figures go to the one who asks.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    planned = json.loads(Path(plan).read_text(encoding="utf-8"))
    names, ask = open_session(export, int(intra_op))
    columns = [
        np.array([base64.b64decode(text) for text in planned["columns"][name]], object)
        for name in names
    ]
    loads = [
        Load(ask, columns, rows, clients, planned["seconds"]) for rows, clients in planned["loads"]
    ]
    gpus = [
        tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name)
        for gpu in tf.config.list_physical_devices("GPU")
    ]
    print(json.dumps({"gpus": gpus}), file=answers, flush=True)
    for _ in sys.stdin:
        print(json.dumps([load.play() for load in loads]), file=answers, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
