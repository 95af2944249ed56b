"""`python -m serving.client bench`: throughput, latency and errors of a served model."""

from __future__ import annotations

import argparse
import asyncio
import itertools
import sys
from collections.abc import Iterator
from functools import partial
from typing import Any

import grpc

from serving.client import messages
from serving.client.answers import read_outputs
from serving.client.cli.answer_output import print_json
from serving.client.cli.bench_report import build_report, print_report
from serving.client.cli.commands import find_rows
from serving.client.cli.json_arrays import choose_signature, read_inputs, split_inputs
from serving.client.cli.load_generator import LoadGenerator
from serving.client.client import Client
from serving.client.connection import open_channel
from serving.client.errors import InvalidRequest
from serving.client.model_metadata import Signature
from serving.client.requests import PREDICT, ModelSelector, build_predict
from serving.client.tensor_codec import AnyArray

Inputs = dict[str, Any]
# These texts are sent in a cycle; more of a long file would only use memory.
MAX_TEXTS = 100_000
# Above this share of the latencies, they are distorted by this process.
MAX_LATE_SHARE = 0.1
FIELDS = ("text", "text_pair", "question", "context")


def bench(client: Client, arguments: argparse.Namespace) -> None:
    """Generate load and print the results, also after an interrupt."""
    signature = choose_signature(client.metadata(), arguments.signature)
    inputs = cycle_inputs(arguments, signature)
    # One request first: an error that affects all of them is reported as such.
    client.predict(next(inputs), arguments.signature)
    print(describe(client, arguments), file=sys.stderr)
    selector = ModelSelector(client.model, client.version, client.label)

    def encode() -> bytes:
        request = build_predict(selector, next(inputs), arguments.signature)
        content: bytes = request.SerializeToString()
        return content

    load = LoadGenerator(encode, decode, client.sending.timeout)
    try:
        asyncio.run(run(load, client, arguments))
    finally:
        print_result(load, client, arguments)


async def run(load: LoadGenerator, client: Client, arguments: argparse.Namespace) -> None:
    """Generate the load over a channel with the client's options; nothing is retried."""
    async with open_channel(client.connection, grpc.aio) as channel:
        metadata = client.connection.call_metadata()
        call = partial(channel.unary_unary(PREDICT.path), metadata=metadata or None)
        window = (arguments.warmup, arguments.seconds)
        if arguments.rate:
            await load.run_open(call, arguments.rate, *window)
        else:
            await load.run_closed(call, arguments.clients, *window)


def decode(data: bytes) -> dict[str, AnyArray]:
    """Decode the bytes of a PredictResponse; raises ValueError for malformed tensors."""
    return read_outputs(messages.PredictResponse.FromString(data))


def cycle_inputs(arguments: argparse.Namespace, signature: Signature) -> Iterator[Inputs]:
    """Yield inputs of requests without end; raises InvalidRequest."""
    if arguments.inputs:
        if arguments.texts or arguments.file:
            raise InvalidRequest(
                "--input and texts exclude each other. Both are given. Leave one of them out."
            )
        return itertools.repeat(read_inputs(split_inputs(arguments.inputs), signature))
    specs = signature.inputs
    if not specs:
        return itertools.repeat({})
    names = sorted(specs, key=lambda name: (*FIELDS, name).index(name))
    wanted = ", ".join(f"{name} ({spec.dtype})" for name, spec in specs.items())
    if len(names) > 2 or {specs[n].dtype for n in names} != {"string"}:
        raise InvalidRequest(
            f"Signature {arguments.signature!r} does not take texts. Its inputs are {wanted}. "
            "Give them as --input NAME=JSON."
        )
    rows = list(itertools.islice(find_rows(arguments, tuple(names)), MAX_TEXTS))
    if not rows or len(rows[0]) != len(names):
        raise InvalidRequest(
            f"The texts do not fit signature {arguments.signature!r}. Its inputs are {wanted}; "
            f"found {len(rows)} rows of {len(rows[0]) if rows else 0} texts. Give --data with "
            "these columns."
        )
    endless = itertools.cycle(rows)

    def build() -> Inputs:
        columns = zip(*itertools.islice(endless, arguments.texts_per_request), strict=True)
        return dict(zip(names, map(list, columns), strict=True))

    return iter(build, None)


def describe(client: Client, arguments: argparse.Namespace) -> str:
    """Return a sentence on the load."""
    loop = f"{arguments.clients} clients"
    if arguments.rate:
        loop = f"{arguments.rate:g} requests a second"
    return (
        f"{client.target}, {client}: {loop}, {arguments.warmup:g} s of warm-up, then "
        f"{arguments.seconds:g} s of measurement; Ctrl-C stops early."
    )


def print_result(load: LoadGenerator, client: Client, arguments: argparse.Namespace) -> None:
    """Print the measurement."""
    if not load.measurement.seconds:
        print("Nothing was measured: it was stopped during the warm-up.", file=sys.stderr)
        return
    report = build_report(
        load.measurement, None if arguments.inputs else arguments.texts_per_request
    )
    if (report["shares"]["late"] or 0) > MAX_LATE_SHARE:
        print(
            f"Requests were sent late, {report['shares']['late']:.0%} of the latency: this machine "
            "could not send them on time, or too many were in flight.",
            file=sys.stderr,
        )
    if not arguments.json:
        print_report(report)
        return
    print_json(
        target=client.target,
        model=client.model,
        loop="open" if arguments.rate else "closed",
        clients=None if arguments.rate else arguments.clients,
        rate=arguments.rate,
        texts_per_request=None if arguments.inputs else arguments.texts_per_request,
        **report,
    )
