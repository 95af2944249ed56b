"""`python -m serving.client bench`: what it counts, and how it ends."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from array import array
from collections import Counter
from pathlib import Path

import grpc
import pytest

from serving.client import Client
from serving.client.cli import load_generator
from serving.client.cli.bench import print_result
from serving.client.cli.bench_report import build_report, print_report
from serving.client.cli.load_generator import LoadGenerator, Measurement
from serving.client.cli.main import main
from serving.client.cli.parser import build_parser
from tests.serving_models import save_classifier, save_echo, serve

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exports")
    save_classifier(folder / "support" / "7")
    save_classifier(folder / "paraphrase" / "1", pairs=True)
    save_echo(folder / "echo" / "1")
    with serve(**{path.name: path for path in folder.iterdir()}) as application:
        yield application.grpc_address


@pytest.fixture
def measure(address, capsys):
    """measure(model, options...): the report of a second of load."""

    def measure(model, *options):
        short = ("--seconds", "1", "--warmup", "0.1", "--json")
        status = main(["bench", "--target", address, "--model", model, *short, *options])
        printed = capsys.readouterr()
        assert status == 0, printed.err
        (line,) = printed.out.splitlines()
        return json.loads(line)

    return measure


def check_sums(report):
    assert report["answered"] + sum(report["errors"].values()) == report["requests"]
    assert sum(report["shares"].values()) == pytest.approx(1, abs=0.001)
    assert all(share >= 0 for share in report["shares"].values())
    latency = report["latency_ms"]
    assert 0 < latency["p50"] <= latency["p95"] <= latency["p99"] <= latency["max"]


def test_closed_loop(measure, tmp_path):
    (tmp_path / "texts.txt").write_text("hi\nWhere is my card?\n")
    file = ("--file", str(tmp_path / "texts.txt"))
    report = measure("support", *file, "--clients", "3", "--texts", "5")
    assert (report["loop"], report["clients"], report["texts_per_request"]) == ("closed", 3, 5)
    assert report["errors"] == {} and report["answered"] >= 3
    assert report["texts_per_second"] == pytest.approx(5 * report["requests_per_second"], abs=0.1)
    assert all(report["shares"][part] > 0 for part in ("encoding", "waiting", "decoding"))
    assert report["cpu_ms_per_request"] > 0 and report["seconds"] == pytest.approx(1, abs=0.001)
    check_sums(report)


def test_open_loop_sends_what_is_due_and_nothing_else(measure):
    report = measure("support", "hi", "--rate", "40")
    assert (report["loop"], report["rate"], report["clients"]) == ("open", 40, None)
    # One second of 40 a second, whatever the machine does meanwhile.
    assert report["requests"] == 40 and report["errors"] == {}
    check_sums(report)


def test_pairs_and_any_other_signature(measure, tmp_path):
    (tmp_path / "pairs.csv").write_text("text,text_pair\nhello,dear reader\n")
    report = measure("paraphrase", "--file", str(tmp_path / "pairs.csv"), "--clients", "1")
    assert report["errors"] == {} and report["answered"] > 0
    options = ("--signature", "int64", "--input", "x=[[1, 2]]", "--clients", "2")
    report = measure("echo", *options)
    assert report["answered"] > 0 and report["texts_per_second"] is None


def test_report_as_text(address, capsys):
    where = ("--target", address, "--model", "support", "--clients", "2")
    assert main(["bench", *where, "--seconds", "0.2", "--warmup", "0", "hi"]) == 0
    printed = capsys.readouterr()
    names = [line.split("  ")[0] for line in printed.out.splitlines()]
    assert names[:4] == ["requests/s", "texts/s", "latency, ms", "of it"]
    assert "errors        none" in printed.out
    assert "2 clients, 0 s of warm-up, then 0.2 s of measurement" in printed.err


@pytest.mark.parametrize(
    "options, part",
    [
        (("--model", "suport", "hi"), "model 'suport'"),
        (("--model", "support", "--signature", "no", "hi"), "has no signature 'no'"),
        (("--model", "support", "--signature", "multiply", "hi"), "inputs are x (float32)"),
        (("--model", "paraphrase", "hi"), "inputs are text (string), text_pair (string)"),
        (("--model", "support", "--file", "no.txt"), "cannot be read"),
        (("--model", "support", "--input", 'text=["hi"]', "hi"), "exclude each other"),
    ],
)
def test_errors_before_any_load(address, capsys, options, part):
    assert main(["bench", "--target", address, *options]) == 2
    printed = capsys.readouterr()
    assert part in printed.err and printed.out == ""


def test_a_load_is_either_a_closed_or_an_open_loop(capsys):
    with pytest.raises(SystemExit) as end:
        main(["bench", "--clients", "3", "--rate", "5", "hi"])
    assert end.value.code == 2 and "not allowed with" in capsys.readouterr().err


class Refusal(grpc.RpcError):
    def code(self):
        return grpc.StatusCode.UNAVAILABLE


def encode():
    return b"request"


def test_latency_counts_from_the_time_a_request_was_due(monkeypatch):
    """A server that answers one request at a time, more slowly than they come."""
    monkeypatch.setattr(load_generator, "MAX_IN_FLIGHT", 1)

    async def call(data, timeout):
        await asyncio.sleep(0.05)
        return data

    load = LoadGenerator(encode, lambda data: data, timeout=60)
    measured = asyncio.run(load.run_open(call, rate=100, warmup=0, seconds=0.2))
    # The last of 20 was due at 0.19 s and cannot have been answered before 20 * 0.05 s.
    assert len(measured.latencies) == 20
    assert max(measured.latencies) >= 0.8
    assert measured.late >= 19 * 0.8 / 2
    total = measured.late + measured.encoding + measured.waiting + measured.decoding
    assert sum(measured.latencies) == pytest.approx(total)
    # Only what was answered within the window makes the rate.
    assert measured.completed <= 4 and measured.seconds == pytest.approx(0.2)


def test_a_request_that_comes_too_late_to_be_sent_has_missed_its_deadline(monkeypatch):
    monkeypatch.setattr(load_generator, "MAX_IN_FLIGHT", 1)
    deadlines = []

    async def call(data, timeout):
        deadlines.append(timeout)
        await asyncio.sleep(0.1)
        return data

    load = LoadGenerator(encode, lambda data: data, timeout=0.3)
    measured = asyncio.run(load.run_open(call, rate=100, warmup=0, seconds=0.5))
    assert len(measured.latencies) + measured.errors["DEADLINE_EXCEEDED"] == 50
    assert measured.errors["DEADLINE_EXCEEDED"] >= 30
    assert all(0 < deadline <= 0.3 for deadline in deadlines)


def test_errors_are_counted_by_status():
    calls = []

    async def call(data, timeout):
        calls.append(timeout)
        await asyncio.sleep(0.01)
        if len(calls) % 3 == 0:
            raise Refusal
        return b"unreadable" if len(calls) % 3 == 1 else data

    def decode(data):
        if data != b"request":
            raise ValueError(data)

    load = LoadGenerator(encode, decode, timeout=7)
    measured = asyncio.run(load.run_closed(call, clients=1, warmup=0, seconds=0.3))
    assert set(measured.errors) == {"UNAVAILABLE", "UNREADABLE"}
    assert sum(measured.errors.values()) + len(measured.latencies) == len(calls)
    assert max(calls) <= 7


def test_warm_up_is_not_measured():
    sent = []

    async def call(data, timeout):
        sent.append(time.perf_counter())
        await asyncio.sleep(0.02)
        return data

    load = LoadGenerator(encode, lambda data: data, timeout=60)
    began = time.perf_counter()
    measured = asyncio.run(load.run_closed(call, clients=1, warmup=0.2, seconds=0.2))
    warm = sum(moment - began < 0.2 for moment in sent)
    assert warm >= 1
    assert len(measured.latencies) <= len(sent) - warm


def test_report_of_known_figures(capsys):
    measured = Measurement(
        latencies=array("d", [0.001, 0.002, 0.003, 0.004]),
        errors=Counter(UNAVAILABLE=1),
        completed=4,
        late=0.001,
        encoding=0.002,
        waiting=0.006,
        decoding=0.001,
        seconds=2.0,
        cpu=0.01,
    )
    report = build_report(measured, texts_per_request=8)
    assert report == {
        "seconds": 2.0,
        "requests_per_second": 2.0,
        "texts_per_second": 16.0,
        "latency_ms": {"p50": 2.5, "p95": 3.85, "p99": 3.97, "max": 4.0},
        "requests": 5,
        "answered": 4,
        "errors": {"UNAVAILABLE": 1},
        "shares": {"late": 0.1, "encoding": 0.2, "waiting": 0.6, "decoding": 0.1},
        "cpu_ms_per_request": 2.0,
    }
    print_report(report)
    assert "UNAVAILABLE 1 (20.00%)" in capsys.readouterr().out


def test_late_sending_causes_a_warning(capsys):
    arguments = build_parser().parse_args(["bench", "hi"])
    load = LoadGenerator(encode, lambda data: data, timeout=60)
    load.measurement = Measurement(array("d", [1.0]), late=0.6, waiting=0.4, seconds=1.0)
    with Client("localhost:1", model="support") as client:
        print_result(load, client, arguments)
    assert "Requests were sent late, 60%" in capsys.readouterr().err


def test_report_when_nothing_was_answered(capsys):
    report = build_report(Measurement(errors=Counter(UNAVAILABLE=2), seconds=1.0), 1)
    assert report["latency_ms"]["p50"] is None and report["requests_per_second"] == 0
    print_report(report)
    assert "nothing was answered" in capsys.readouterr().out
    json.dumps(report)


def test_ctrl_c_prints_what_was_measured_so_far(address):
    where = ["--target", address, "--model", "support", "hi", "--json"]
    # A test run in the background ignores SIGINT, and its children would inherit that. The
    # interruption comes from inside, when there is certainly something to tell.
    script = f"""
import os, signal, sys, threading, time
signal.signal(signal.SIGINT, signal.default_int_handler)
from serving.client.cli import load_generator, main as command
loads = []
make = load_generator.LoadGenerator.__init__
def keep(self, *arguments):
    make(self, *arguments)
    loads.append(self)
load_generator.LoadGenerator.__init__ = keep
def interrupt():
    while not (loads and len(loads[0].measurement.latencies) > 20):
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=interrupt, daemon=True).start()
sys.exit(command.main(["bench", "--seconds", "600", "--warmup", "0", *{where}]))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 130, done.stderr
    assert "Traceback" not in done.stderr
    report = json.loads(done.stdout)
    assert report["answered"] > 20 and 0 < report["seconds"] < 600
    # Requests that the interruption cancelled are no errors of the server.
    assert report["errors"] == {}


def test_ctrl_c_in_an_open_loop_and_during_the_warm_up(address):
    for options in (["--rate", "50"], []):
        script = f"""
import os, signal, sys, threading
signal.signal(signal.SIGINT, signal.default_int_handler)
from serving.client.cli import load_generator, main as command
watch = load_generator.LoadGenerator._watch
async def interrupt(self):
    os.kill(os.getpid(), signal.SIGINT)
    await watch(self)
load_generator.LoadGenerator._watch = interrupt
where = ["--target", "{address}", "--model", "support", "hi", "--warmup", "600"]
sys.exit(command.main(["bench", *where, *{options}]))
"""
        done = subprocess.run(
            [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=120
        )
        assert (done.returncode, done.stdout) == (130, ""), done.stderr
        assert "Nothing was measured" in done.stderr and "Traceback" not in done.stderr
