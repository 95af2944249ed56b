"""Serving throughput, compared with the same model in process and with two peers.

    python benchmarks/serving.py RUN EXPORT DATA.tsv [--peers PYTHON] [--rounds 5] [--seconds 8]

RUN is the training run, EXPORT the version folder exported from it, DATA.tsv has a header and texts
in the first column. PYTHON is an interpreter with torch, transformers, fastapi, uvicorn and bentoml
(default: this one); without them the peers are skipped with a note. Systems alternate within each
round; load generator and servers share the cores of this machine. Prints medians over the rounds,
also of the ratios, each computed within one round.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import aiohttp

from benchmarks.texts import read_texts
from serving.client import AsyncClient

ROOT = Path(__file__).parents[1]
PEERS = Path(__file__).parent / "peers"
CLIENTS = 32
START_SECONDS = 180
Ask = Callable[[list[str]], Awaitable[object]]


async def closed_loop(
    ask: Ask, texts: list[str], clients: int, per_request: int, seconds: float
) -> tuple[float, float]:
    """Return texts per second and median latency in ms of a closed loop of clients."""
    taken: list[float] = []
    begun = time.perf_counter()

    async def send_repeatedly(number: int) -> None:
        start = number * per_request
        while time.perf_counter() - begun < seconds:
            before = time.perf_counter()
            await ask(texts[start : start + per_request])
            taken.append(time.perf_counter() - before)
            start = (start + clients * per_request) % (len(texts) - per_request)

    await asyncio.gather(*(send_repeatedly(number) for number in range(clients)))
    rate = len(taken) * per_request / (time.perf_counter() - begun)
    return rate, statistics.median(taken) * 1000


def find_port() -> int:
    """Return a free port."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


@contextlib.contextmanager
def run(
    command: list[str], stdout: int = subprocess.DEVNULL, **environment: str
) -> Iterator[subprocess.Popen[str]]:
    """Run a process in the peers' folder until the end of the block."""
    process = subprocess.Popen(
        command,
        cwd=PEERS,
        env={**os.environ, "BENTOML_DO_NOT_TRACK": "true", "USE_TF": "0", **environment},
        stdin=subprocess.PIPE,
        stdout=stdout,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


async def ask_http(session: aiohttp.ClientSession, port: int, texts: list[str]) -> object:
    """Send one request to a peer."""
    url = f"http://127.0.0.1:{port}/classify"
    async with session.post(url, json={"texts": texts}) as response:
        response.raise_for_status()
        return await response.json()


async def wait_for(ask: Ask, process: subprocess.Popen[str], name: str) -> None:
    """Wait until the peer answers; raises RuntimeError when it ended or takes too long."""
    for _ in range(START_SECONDS):
        if process.poll() is not None:
            break
        with contextlib.suppress(aiohttp.ClientError):
            await ask(["hello"])
            return
        await asyncio.sleep(1)
    raise RuntimeError(f"{name} does not answer; run it manually to see why")


def can_import(python: str, *modules: str) -> bool:
    """Return whether an interpreter has these modules."""
    found = [f"importlib.util.find_spec({module!r})" for module in modules]
    script = f"import importlib.util, sys; sys.exit(not all([{', '.join(found)}]))"
    return subprocess.run([python, "-c", script], check=False).returncode == 0


def ask_ceiling(process: subprocess.Popen[str], size: int, seconds: float) -> tuple[float, float]:
    """Return texts per second and ms for each batch of the model in process."""
    assert process.stdin is not None and process.stdout is not None
    print(size, seconds, file=process.stdin, flush=True)
    rate, milliseconds = process.stdout.readline().split()
    return float(rate), float(milliseconds)


async def measure(arguments: argparse.Namespace) -> None:
    """Start all systems, measure them in rounds, print the report."""
    texts = read_texts(arguments.data)
    export, model = Path(arguments.export).resolve(), Path(arguments.run).resolve() / "model"
    data = str(Path(arguments.data).resolve())
    port, peer_ports = find_port(), {"FastAPI + pipeline": find_port(), "BentoML": find_port()}
    server = [sys.executable, "-m", "serving.server", f"--port={port}", "--enable_batching"]
    server += [f"--batching_parameters_file={Path(__file__).with_name('batching.config')}"]
    server += [f"--model_base_path={export.parent}", *arguments.server]
    peers = {
        "FastAPI + pipeline": [arguments.peers, str(PEERS / "fastapi_pipeline.py")],
        "BentoML": [arguments.peers, "-m", "bentoml", "serve", "bentoml_service:Classifier"],
    }
    peers["BentoML"] += ["--host", "127.0.0.1", "--port", str(peer_ports["BentoML"])]
    if not can_import(arguments.peers, "torch", "transformers", "fastapi", "uvicorn", "bentoml"):
        print(f"{arguments.peers} lacks torch, fastapi, uvicorn or bentoml: no peers")
        peers = {}
    async with contextlib.AsyncExitStack() as stack:
        start = stack.enter_context
        ceiling = start(
            run(
                [sys.executable, str(ROOT / "benchmarks/in_process.py"), str(export), data],
                subprocess.PIPE,
            )
        )
        start(run(server, PYTHONPATH=str(ROOT)))
        client = await stack.enter_async_context(AsyncClient(f"127.0.0.1:{port}"))
        await client.wait_until_ready(START_SECONDS)
        asks: dict[str, tuple[Ask, int, int]] = {
            "32 clients, 1 text": (client.classify, CLIENTS, 1),
            "32 clients, 8 texts": (client.classify, CLIENTS, 8),
            "1 client, 1 text": (client.classify, 1, 1),
        }
        session = await stack.enter_async_context(aiohttp.ClientSession())
        for name, command in peers.items():
            process = start(run(command, MODEL=str(model), PORT=str(peer_ports[name])))

            async def ask(texts: list[str], port: int = peer_ports[name]) -> object:
                return await ask_http(session, port, texts)

            await wait_for(ask, process, name)
            asks[f"{name}, 32 clients, 1 text"] = (ask, CLIENTS, 1)
        assert ceiling.stdout is not None and ceiling.stdout.readline().strip() == "ready"

        rounds: list[dict[str, tuple[float, float]]] = []
        for number in range(arguments.rounds + 1):
            result = {
                "in process, batches of 32": ask_ceiling(ceiling, 32, arguments.seconds),
                "in process, 1 text": ask_ceiling(ceiling, 1, arguments.seconds),
            }
            for name, (ask_it, clients, count) in asks.items():
                result[name] = await closed_loop(ask_it, texts, clients, count, arguments.seconds)
            # The first round is warm-up.
            if number:
                rounds.append(result)
                print(".", end="", file=sys.stderr, flush=True)
    report(rounds)


def report(rounds: list[dict[str, tuple[float, float]]]) -> None:
    """Print medians, and medians of the ratios within a round."""
    ours, ceiling = "32 clients, 1 text", "in process, batches of 32"
    print(f"\n{'texts/s':>9} {'p50 ms':>8} {'to ceiling':>11} {'ours to it':>11}")
    for name in rounds[0]:
        rate, p50 = (statistics.median(r[name][i] for r in rounds) for i in (0, 1))
        share = statistics.median(r[name][0] / r[ceiling][0] for r in rounds)
        times = statistics.median(r[ours][0] / r[name][0] for r in rounds)
        print(f"{rate:9,.0f} {p50:8.2f} {share:10.0%} {times:10.2f}x  {name}")
    added = statistics.median(r["1 client, 1 text"][1] - r["in process, 1 text"][1] for r in rounds)
    print(f"added by the server and client at one client: {added:.2f} ms (p50)")


def main() -> None:
    """Parse the arguments and measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run")
    parser.add_argument("export")
    parser.add_argument("data")
    parser.add_argument("--peers", default=sys.executable, metavar="PYTHON")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=8.0, help="seconds of each measurement")
    parser.add_argument(
        "--server", action="append", default=[], metavar="FLAG", help="further flag of the server"
    )
    asyncio.run(measure(parser.parse_args()))


if __name__ == "__main__":
    main()
