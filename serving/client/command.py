"""`python -m serving.client`: ask a served model from the command line."""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
from collections.abc import Iterator

from serving.client.client import Client
from serving.client.errors import ClientError, InvalidRequest, ModelNotFound, ServerUnavailable

USERS_MISTAKES = (InvalidRequest, ModelNotFound, ServerUnavailable)
EXAMPLES = """examples:
  python -m serving.client classify --target localhost:8500 --model support "Where is my card?"
  python -m serving.client classify --model support --json < questions.txt
  python -m serving.client classify --model paraphrase "Card lost" --text-pair "My card is gone"
  python -m serving.client wait --model support --timeout 120
  python -m serving.client status --model support
  python -m serving.client metadata --model support --version 3
"""


def build_parser() -> argparse.ArgumentParser:
    """The command line: one subcommand a verb, the address and model in each."""
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument(
        "--target", default="localhost:8500", help="HOST:PORT of the server (%(default)s)"
    )
    shared.add_argument("--model", default="default", help="name of the model (%(default)s)")
    shared.add_argument(
        "--version", type=int, help="version to ask (the newest that the server has ready)"
    )
    shared.add_argument("--label", help="version label to ask, instead of --version (none)")
    shared.add_argument(
        "--timeout", type=float, default=30.0, help="seconds each request may take (%(default)g)"
    )
    shared.add_argument(
        "--json", action="store_true", help="print JSON lines instead of a table (off)"
    )
    parser = argparse.ArgumentParser(
        prog="python -m serving.client",
        description="Ask a model that is served over TensorFlow Serving's gRPC interface.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    def add_verb(name: str, summary: str) -> argparse.ArgumentParser:
        return verbs.add_parser(
            name,
            help=summary,
            description=summary.capitalize() + ".",
            parents=[shared],
            epilog=EXAMPLES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    classify = add_verb("classify", "label texts: from the arguments, or standard input's lines")
    classify.add_argument("texts", nargs="*", metavar="TEXT", help="texts (lines of stdin)")
    classify.add_argument(
        "--text-pair",
        action="append",
        metavar="TEXT",
        help="second text of a pair, once for each TEXT (none)",
    )
    classify.add_argument(
        "--pairs", action="store_true", help="each line of stdin is two texts with a tab between"
    )
    add_verb("wait", "return once the model answers; an error after --timeout seconds")
    add_verb("status", "show the versions that the server knows and their states")
    add_verb("metadata", "show the signatures of the model with their inputs and outputs")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run one verb; returns 0 done, 2 the user's mistake, 1 a fault, 130 interrupted."""
    arguments = build_parser().parse_args(argv)
    try:
        client = Client(
            arguments.target,
            arguments.model,
            arguments.version,
            arguments.label,
            arguments.timeout,
        )
        with client:
            VERBS[arguments.verb](client, arguments)
        sys.stdout.flush()
    except ClientError as error:
        print(error, file=sys.stderr)
        return 2 if isinstance(error, USERS_MISTAKES) else 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader (head, say) has gone; without this Python complains once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return 0


def classify(client: Client, arguments: argparse.Namespace) -> None:
    """Print one answer a text, request by request, so that input may be longer than memory."""
    rows = read_rows(arguments)
    header_due = not arguments.json
    while chunk := list(itertools.islice(rows, client.texts_per_request)):
        answers = client.classify(*zip(*chunk, strict=True))
        width = max(20, *(len(answer.label) for answer in answers)) + 2
        if header_due:
            print(f"{'score':<8}{'label':<{width}}text")
            header_due = False
        for row, answer in zip(chunk, answers, strict=True):
            if arguments.json:
                print_json(
                    **dict(zip(("text", "text_pair"), row, strict=False)),
                    label=answer.label,
                    score=answer.score,
                    scores=[float(score) for score in answer.scores],
                )
            else:
                print(f"{answer.score:<8.4f}{answer.label:<{width}}{' | '.join(row)}")


def read_rows(arguments: argparse.Namespace) -> Iterator[tuple[str, ...]]:
    """(text,) or (text, its pair), from the arguments or else from standard input's lines."""
    texts, text_pairs = arguments.texts, arguments.text_pair
    if text_pairs is not None:
        if len(texts) != len(text_pairs):
            raise InvalidRequest(
                f"Every TEXT needs one --text-pair: got {len(texts)} and {len(text_pairs)}."
            )
        yield from zip(texts, text_pairs, strict=True)
    elif texts:
        if arguments.pairs:
            raise InvalidRequest("--pairs is for standard input; give --text-pair with each TEXT.")
        yield from zip(texts)
    else:
        yield from (split_pair(line) if arguments.pairs else (line,) for line in read_lines())


def read_lines() -> Iterator[str]:
    """The lines of standard input as UTF-8, an empty line being an empty text."""
    if sys.stdin.isatty():
        print("Reading texts from standard input, one a line; Ctrl-D ends.", file=sys.stderr)
    for line in sys.stdin.buffer:
        yield line.decode("utf-8", "replace").rstrip("\r\n")


def split_pair(line: str) -> tuple[str, ...]:
    """The two texts of a line. Raises InvalidRequest unless it has exactly one tab."""
    parts = tuple(line.split("\t"))
    if len(parts) != 2:
        raise InvalidRequest(
            f"With --pairs a line is two texts with one tab between; {line[:60]!r} has "
            f"{len(parts) - 1} tabs."
        )
    return parts


def wait(client: Client, arguments: argparse.Namespace) -> None:
    """Return once the model answers."""
    client.wait_until_ready(arguments.timeout)


def show_status(client: Client, arguments: argparse.Namespace) -> None:
    """Print one line a version."""
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


def format_shape(shape: tuple[int | None, ...] | None) -> str:
    """`[?, 3]`, and `of any rank` where even that is open."""
    if shape is None:
        return "of any rank"
    return "[" + ", ".join("?" if size is None else str(size) for size in shape) + "]"


def print_json(**values: object) -> None:
    """One JSON object on one line."""
    print(json.dumps(values, ensure_ascii=False))


VERBS = {"classify": classify, "wait": wait, "status": show_status, "metadata": show_metadata}
