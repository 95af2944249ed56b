"""Subprocess that runs an export under load as servers do, with TensorFlow alone.

usage: python serving_benchmark_worker.py EXPORT PLAN.json INTRA_OP

PLAN.json holds {"columns": {"text": [base64, ...]}, "loads": [[rows, clients], ...],
"seconds": the least time of a load}. INTRA_OP is the number of threads within an operation, 0 is
TensorFlow's default: a process has one pool of them, so every setting needs a process of its own.
Prints {"gpus": [...]} when it is warm; then, for every line that it reads, runs each load and
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
    """Requests of concurrent clients, each of which waits for its answer before the next request.

    Args:
        predict: The model, a function of the columns.
        columns: The texts, of which all requests together have each.
        rows: Texts of a request.
        clients: Number of clients; each sends two requests at least.
        seconds: Least time of a run.
    """

    def __init__(
        self,
        predict: Callable[..., Any],
        columns: Sequence[np.ndarray],
        rows: int,
        clients: int,
        seconds: float,
    ):
        self.predict, self.rows, self.clients = predict, rows, clients
        count = len(columns[0])
        self.requests = [
            [column[start : start + rows] for column in columns] for start in range(0, count, rows)
        ]
        self.times = 1
        # The first run includes set-up for each shape, which hardly changes the median.
        once = self.run()[1] / 1000 * len(self.requests) / clients
        least = 2 * clients / len(self.requests)
        self.times = math.ceil(max(1, least, seconds / once))

    def run(self) -> tuple[float, float]:
        """Return texts per second, and the median milliseconds of a request."""
        requests = iter(self.requests * self.times)
        lock = threading.Lock()
        taken: list[float] = []
        failed: list[Exception] = []

        def client_loop() -> None:
            while not failed:
                with lock:
                    request = next(requests, None)
                if request is None:
                    return
                began = time.perf_counter()
                try:
                    self.predict(*request)
                except Exception as error:
                    failed.append(error)
                taken.append(time.perf_counter() - began)

        clients = [threading.Thread(target=client_loop) for _ in range(self.clients)]
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
    """Return the inputs of serving_default, and a thread-safe function of them."""
    config = tf.compat.v1.ConfigProto(
        allow_soft_placement=True, intra_op_parallelism_threads=intra_op
    )
    # The exporting process and those of the other settings share the GPU.
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
    """Run the loads once for each line of standard input."""
    # TensorFlow and its libraries may print; only measurements go to the parent process.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    planned = json.loads(Path(plan).read_text(encoding="utf-8"))
    names, predict = open_session(export, int(intra_op))
    columns = [
        np.array([base64.b64decode(text) for text in planned["columns"][name]], object)
        for name in names
    ]
    loads = [
        Load(predict, columns, rows, clients, planned["seconds"])
        for rows, clients in planned["loads"]
    ]
    gpus = [
        tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name)
        for gpu in tf.config.list_physical_devices("GPU")
    ]
    print(json.dumps({"gpus": gpus}), file=answers, flush=True)
    for _ in sys.stdin:
        print(json.dumps([load.run() for load in loads]), file=answers, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
