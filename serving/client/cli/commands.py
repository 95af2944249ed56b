"""Verbs of the command line: send requests, print a table or JSON lines."""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

from serving.client.cli.answer_output import TEXT_VERBS, Table, format_shape, print_json
from serving.client.cli.json_arrays import choose_signature, read_inputs, split_inputs, to_json
from serving.client.cli.text_input import Row, read_lines, read_object, read_rows
from serving.client.client import Client
from serving.client.errors import ClientError, InvalidRequest
from serving.client.faiss_index import open_index
from serving.client.tensor_codec import AnyArray
from serving.standard_output import json_line


def answer_texts(client: Client, arguments: argparse.Namespace) -> None:
    """Print answers chunk by chunk, so that the input may exceed the memory."""
    verb = TEXT_VERBS[arguments.verb]
    ask = getattr(client, arguments.verb)
    if getattr(arguments, "index", None):
        ask = partial(ask, index=open_index(arguments.index))
    adapter = getattr(arguments, "adapter", None)
    if adapter is not None:
        ask = partial(ask, adapter=adapter)
    rows = find_rows(arguments, verb.fields)
    labels: dict[str, Any] = {}
    table = Table(verb.heading)
    chunk_size = client.sending.texts_per_request * client.sending.parallel
    done = 0
    while chunk := list(itertools.islice(rows, chunk_size)):
        answers = ask(*zip(*chunk, strict=True))
        if arguments.json:
            if arguments.verb == "classify" and not done:
                labels = find_labels(client, len(answers[0].scores), adapter)
            for row, answer in zip(chunk, answers, strict=True):
                texts = dict(zip(verb.fields, row, strict=False))
                print_json(**texts, **verb.record(answer), **labels)
        else:
            lines = [verb.lines(answer, row) for row, answer in zip(chunk, answers, strict=True)]
            if verb.heading[0] == "line":
                lines = [
                    [(str(number), *cells) for cells in group]
                    for number, group in enumerate(lines, start=done + 1)
                ]
            table.print(list(itertools.chain.from_iterable(lines)))
        done += len(chunk)
        sys.stdout.flush()


def find_labels(client: Client, count: int, adapter: str | None = None) -> dict[str, Any]:
    """Return {"labels": names of the scores} from the signature `info`; {} where it lacks them."""
    try:
        info = json.loads(client.predict({}, "info")["info"].item())
        labels = (info if adapter is None else info["adapters"][adapter])["labels"]
    except (ClientError, ValueError, LookupError, TypeError):
        return {}
    return {"labels": labels} if isinstance(labels, list) and len(labels) == count else {}


def find_rows(arguments: argparse.Namespace, fields: tuple[str, ...]) -> Iterator[Row]:
    """Return the texts of the arguments, or else of --data or standard input."""
    texts, file = arguments.texts, arguments.file
    # `tag`, `search`, `embed` and `bench` have no second text on the command line.
    pairs, pair_column = getattr(arguments, "pairs", False), getattr(arguments, "pair_column", None)
    seconds = getattr(arguments, "text_pair", None)
    option = "--context" if arguments.verb == "answer" else "--text-pair"
    if texts and (file or pairs):
        raise InvalidRequest(
            f"Arguments and {'--data' if file else '--pairs'} exclude each other. "
            f"{len(texts)} texts are arguments. Leave one of them out."
        )
    if seconds is not None:
        if arguments.verb == "answer" and len(seconds) == 1:
            first = zip(texts) if texts else read_rows(file, fields[:1], [arguments.column], False)
            return ((row[0], seconds[0]) for row in first)
        if len(texts) != len(seconds):
            raise InvalidRequest(
                f"Every TEXT needs one {option}: got {len(texts)} and {len(seconds)}. "
                "Give one for each, in the same order."
            )
        return zip(texts, seconds, strict=True)
    if arguments.verb == "answer" and texts:
        raise InvalidRequest("Every QUESTION needs a context. There is no --context. Give one.")
    if texts:
        return zip(texts)
    columns = [arguments.column, pair_column][: len(fields)]
    return read_rows(file, fields, columns, pairs or arguments.verb == "answer")


def predict(client: Client, arguments: argparse.Namespace) -> None:
    """Run a signature on --input, or on each JSON line."""
    signature = choose_signature(client.metadata(), arguments.signature)
    outputs = arguments.outputs.split(",") if arguments.outputs else None
    if arguments.inputs or not signature.inputs:
        if arguments.file:
            raise InvalidRequest(
                "--input and --data exclude each other. Both are given. Leave one of them out."
            )
        requests: Iterable[dict[str, Any]] = [split_inputs(arguments.inputs or ())]
    else:
        place = arguments.file or "standard input"
        requests = (
            read_object(line, f"{place}, line {number}")
            for number, line in read_lines(arguments.file)
            if line.strip()
        )

    def run(values: dict[str, Any]) -> dict[str, AnyArray]:
        inputs = read_inputs(values, signature)
        return client.predict(inputs, arguments.signature, outputs)

    for answer in map_in_order(run, requests, arguments.parallel):
        if arguments.json:
            print_json(**{name: to_json(array) for name, array in sorted(answer.items())})
            continue
        for name, array in sorted(answer.items()):
            dtype = "string" if array.dtype.kind == "O" else array.dtype.name
            value = json_line(to_json(array))
            print(f"{name:<20} {dtype:<10} {format_shape(array.shape)}  {value}")


def map_in_order(
    function: Callable[[Any], Any], values: Iterable[Any], parallel: int
) -> Iterator[Any]:
    """Yield function(value) in order, `parallel` at once, without reading ahead."""
    running: deque[Future[Any]] = deque()
    pool = ThreadPoolExecutor(parallel)
    try:
        for value in values:
            running.append(pool.submit(function, value))
            if len(running) == parallel:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def show_status(client: Client, arguments: argparse.Namespace) -> None:
    """Print one line for each version."""
    for version in client.status():
        if arguments.json:
            print_json(version=version.version, state=version.state, error=version.error)
        else:
            print(f"version {version.version}  {version.state}  {version.error}".rstrip())


def show_metadata(client: Client, arguments: argparse.Namespace) -> None:
    """Print the signatures with their inputs and outputs."""
    metadata = client.metadata()
    if not arguments.json:
        print(f"{metadata.model} version {metadata.version}")
    for name, signature in metadata.signatures.items():
        if arguments.json:
            print_json(
                model=metadata.model,
                version=metadata.version,
                signature=name,
                inputs={alias: vars(spec) for alias, spec in signature.inputs.items()},
                outputs={alias: vars(spec) for alias, spec in signature.outputs.items()},
            )
            continue
        print(f"  {name}")
        for side, specs in (("in ", signature.inputs), ("out", signature.outputs)):
            for alias, spec in specs.items():
                print(f"    {side} {alias:<20} {spec.dtype:<10} {format_shape(spec.shape)}")
