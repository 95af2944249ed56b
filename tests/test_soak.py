"""The server under mixed load: swaps, overload, cancelled calls, malformed requests, all at once.

The short form runs with the suite; ten minutes of it with `make test-slow`.
"""

from __future__ import annotations

import json
import random
import shutil
import signal
import statistics
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import grpc
import numpy as np
import pytest

from tests.serving_calls import PREDICT, predict_request, prediction_stub
from tests.serving_models import LABELS, save_classifier
from tests.support.waiting import free_port

REPOSITORY = Path(__file__).parents[1]
REFUSALS = {"UNAVAILABLE", "RESOURCE_EXHAUSTED"}
BATCHING = """
max_batch_size { value: 32 } max_enqueued_batches { value: 4 } num_batch_threads { value: 2 }
"""


class Load:
    """Shared state of all kinds of load: server, counters, and stop event."""

    def __init__(self, address: str, rest_address: str):
        self.address = address
        self.rest_address = rest_address
        self.stop = threading.Event()
        self.counts: Counter[str] = Counter()
        self.faults: list[str] = []
        self.versions: set[int] = set()
        self.lock = threading.Lock()

    def count(self, what: str) -> None:
        with self.lock:
            self.counts[what] += 1

    def expect(self, kind: str, code: grpc.StatusCode, *wanted: str) -> None:
        """Count a refusal; one with another status than wanted is a fault."""
        self.count(f"{kind} {code.name}")
        if code.name not in wanted:
            with self.lock:
                self.faults.append(f"{kind}: {code.name} instead of {wanted}")

    def check(self, kind: str, texts: list[str], response) -> None:
        """Count an answer; a wrong one is a fault."""
        labels = [label.decode() for label in response.outputs["label"].string_val]
        self.count(f"{kind} OK")
        with self.lock:
            self.versions.add(response.model_spec.version.value)
            if labels != [label_of(text) for text in texts]:
                self.faults.append(f"{kind}: {texts} were called {labels}")


def label_of(text: str) -> str:
    return LABELS[len(text) > 10]


def make_texts(random_numbers: random.Random, most: int) -> list[str]:
    return ["x" * random_numbers.randrange(20) for _ in range(random_numbers.randint(1, most))]


def ask_steadily(load: Load, seed: int) -> None:
    numbers = random.Random(seed)
    with grpc.insecure_channel(load.address) as channel:
        stub = prediction_stub(channel)
        while not load.stop.is_set():
            texts = make_texts(numbers, 8)
            try:
                load.check("steady", texts, stub.Predict(predict_request(text=texts), timeout=60))
            except grpc.RpcError as error:
                load.expect("steady", error.code(), *REFUSALS)


def overload(load: Load) -> None:
    numbers = random.Random(1)
    with grpc.insecure_channel(load.address) as channel:
        stub = prediction_stub(channel)
        while not load.stop.wait(1):
            batches = [make_texts(numbers, 8) for _ in range(400)]
            calls = [
                stub.Predict.future(predict_request(text=texts), timeout=60) for texts in batches
            ]
            for texts, call in zip(batches, calls, strict=True):
                try:
                    load.check("overload", texts, call.result())
                except grpc.RpcError as error:
                    load.expect("overload", error.code(), *REFUSALS)


def cancel_and_expire(load: Load) -> None:
    with grpc.insecure_channel(load.address) as channel:
        stub = prediction_stub(channel)
        while not load.stop.wait(0.05):
            call = stub.Predict.future(
                predict_request("slow_rows", steps=np.int64([50])), timeout=60
            )
            load.stop.wait(0.02)
            call.cancel()
            load.count("cancelled")
            try:
                stub.Predict(predict_request("slow_rows", steps=np.int64([10**6])), timeout=0.05)
            except grpc.RpcError as error:
                load.expect("expired", error.code(), "DEADLINE_EXCEEDED", *REFUSALS)


def send_malformed(load: Load, count: int) -> None:
    huge = predict_request(text=["a"])
    huge.inputs["text"].tensor_shape.dim[0].size = 2**60
    negative = predict_request("multiply", x=np.zeros([1, 3], np.float32))
    negative.inputs["x"].tensor_shape.dim[0].size = -1
    short = predict_request("multiply", x=np.zeros([1, 3], np.float32))
    short.inputs["x"].tensor_content = b"123"
    unknown = predict_request(text=["a"])
    unknown.inputs["text"].dtype = 99
    kinds: list[tuple[str, bytes]] = [
        ("INTERNAL", b"\xff\xff\xff"),
        ("INTERNAL", b"\x0a\x02\x0a\xff"),
        ("INVALID_ARGUMENT", b""),
        *(
            ("INVALID_ARGUMENT", bad.SerializeToString())
            for bad in (huge, negative, short, unknown)
        ),
        ("INVALID_ARGUMENT", predict_request("multiply", x=[[1, 2, 3]]).SerializeToString()),
        ("INVALID_ARGUMENT", predict_request("refuse", text=["a"]).SerializeToString()),
        ("FAILED_PRECONDITION", predict_request("nothing", text=["a"]).SerializeToString()),
        ("NOT_FOUND", predict_request(model="nobody", text=["a"]).SerializeToString()),
    ]
    with grpc.insecure_channel(load.address) as channel:
        call = channel.unary_unary(PREDICT)
        for number in range(count):
            wanted, content = kinds[number % len(kinds)]
            try:
                call(content, timeout=60)
                load.expect("malformed", grpc.StatusCode.OK, wanted)
            except grpc.RpcError as error:
                load.expect("malformed", error.code(), wanted, *REFUSALS)


def ask_over_rest(load: Load) -> None:
    numbers = random.Random(2)
    url = f"http://{load.rest_address}/v1/models/support:predict"
    while not load.stop.wait(0.01):
        texts = make_texts(numbers, 4)
        body = json.dumps({"instances": texts}).encode()
        try:
            with urllib.request.urlopen(url, body, timeout=60) as response:
                rows = json.load(response)["predictions"]
        except urllib.error.HTTPError as error:
            load.count(f"REST {error.code}")
            if error.code not in (429, 503):
                load.faults.append(f"REST: {error.code} {error.read()!r}")
            continue
        load.count("REST 200")
        if [row["label"] for row in rows] != [label_of(text) for text in texts]:
            load.faults.append(f"REST: {texts} were called {rows}")


def swap_versions(load: Load, base_path: Path, source: Path, seconds: float) -> None:
    version = 1
    while not load.stop.wait(seconds):
        version += 1
        aside = base_path / f"incoming-{version}"
        shutil.copytree(source, aside)
        aside.rename(base_path / str(version))
        shutil.rmtree(base_path / str(version - 2), ignore_errors=True)


def resident_megabytes(process: subprocess.Popen[str]) -> float:
    status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def soak(folder: Path, seconds: float, swap_seconds: float, malformed: int) -> None:
    source, base_path = folder / "source", folder / "support"
    save_classifier(source)
    shutil.copytree(source, base_path / "1")
    (folder / "batching").write_text(BATCHING)
    process = subprocess.Popen(
        [sys.executable, "-m", "serving.server", "--port=0", "--model_name=support"]
        + [f"--model_base_path={base_path}", f"--rest_api_port={free_port()}"]
        + ["--enable_batching", f"--batching_parameters_file={folder / 'batching'}"]
        + ["--max_concurrent_requests=150", "--file_system_poll_wait_seconds=0.5"]
        + ["--request_log=off", "--drain_seconds=30"],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=(folder / "log").open("w"),
        text=True,
    )
    try:
        assert process.stdout is not None
        ready = process.stdout.readline()
        words = ready.replace(",", " ").split()
        load = Load(*(word for word in words if word.startswith("127.0.0.1:")))
        work: list[Callable[[], None]] = [
            *(lambda seed=seed: ask_steadily(load, seed) for seed in range(4)),  # type: ignore[misc]
            lambda: overload(load),
            lambda: cancel_and_expire(load),
            lambda: send_malformed(load, malformed),
            lambda: ask_over_rest(load),
            lambda: swap_versions(load, base_path, source, swap_seconds),
        ]
        threads = [threading.Thread(target=run_guarded, args=(load, part)) for part in work]
        for thread in threads:
            thread.start()
        memory, end = [], time.monotonic() + seconds
        while time.monotonic() < end and process.poll() is None:
            time.sleep(0.5)
            memory.append(resident_megabytes(process))
        load.stop.set()
        for thread in threads:
            thread.join(120)
        process.send_signal(signal.SIGTERM)
        status = process.wait(60)
    finally:
        process.kill()
    log = (folder / "log").read_text(encoding="utf-8")
    fifth = len(memory) // 5
    early, late = statistics.median(memory[fifth : 2 * fifth]), statistics.median(memory[-fifth:])
    print(dict(sorted(load.counts.items())), f"{early:.0f} -> {late:.0f} MB", load.versions)
    assert not load.faults, load.faults[:10]
    assert status == 0 and "Traceback" not in log, log[-5000:]
    assert len(load.versions) >= 3
    assert load.counts["steady OK"] and load.counts["overload OK"] and load.counts["REST 200"]
    assert sum(load.counts[f"overload {code}"] for code in REFUSALS), "there was no overload"
    assert load.counts["expired DEADLINE_EXCEEDED"]
    assert sum(n for what, n in load.counts.items() if what.startswith("malformed")) == malformed
    assert late < 1.15 * early + 30, f"memory grew from {early:.0f} to {late:.0f} MB"


def run_guarded(load: Load, part: Callable[[], None]) -> None:
    try:
        part()
    except Exception as error:
        load.faults.append(f"{type(error).__name__}: {error}")


def test_the_server_stands_mixed_load_for_a_short_while(tmp_path):
    soak(tmp_path, seconds=15, swap_seconds=3, malformed=100)


@pytest.mark.slow
def test_the_server_stands_mixed_load_for_ten_minutes(tmp_path):
    soak(tmp_path, seconds=600, swap_seconds=10, malformed=1000)
