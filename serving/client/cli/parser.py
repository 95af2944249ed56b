"""Argument parser of `python -m serving.client`."""

from __future__ import annotations

import argparse
from typing import Any

from serving.client.cli.arg_types import (
    not_negative,
    positive_int,
    positive_number,
    seconds_or_none,
    unicode_text,
)
from serving.client.cli.connection_args import add_connection_options, add_sending_options

EXAMPLES = {
    "classify": 'classify --target localhost:8500 --model support "Where is my card?"',
    "multilabel": "multilabel --model topics --data messages.txt --json",
    "regress": 'regress --model similarity "Card lost" --text-pair "My card is gone"',
    "tag": "tag --model entities --data tickets.csv --text message",
    "search": 'search --model faq "How do I return a parcel?"',
    "answer": 'answer --model qa "Who pays?" --context "The seller pays the return."',
    "embed": 'embed --model vectors "Where is my card?" --json',
    "predict": "predict --model support --signature ids --input input_ids='[[101, 102]]'",
    "metadata": "metadata --model support --version 3",
    "status": "status --model support",
    "wait": "wait --model support --timeout none --pid 4711",
    "bench": "bench --model support --data texts.txt --clients 32 --seconds 10",
}
SUMMARIES = {
    "classify": "label texts, or pairs of texts",
    "multilabel": "assign labels to texts",
    "regress": "predict a number for texts, or pairs of texts",
    "tag": "find the entities in texts",
    "search": "find the entries of an index that answer texts",
    "answer": "answer questions from a context",
    "embed": "compute a vector of each text",
    "predict": "run any signature on JSON inputs; dtypes come from the model's metadata",
    "metadata": "list the signatures of the model with their inputs and outputs",
    "status": "list the versions of the model and their states",
    "wait": "return once the model is available; print what is missing until then",
    "bench": "measure throughput, latency and errors under load",
}
SINGLE_TEXT_VERBS = ("tag", "search", "embed")
TEXT_VERBS = ("classify", "multilabel", "regress", *SINGLE_TEXT_VERBS, "answer")
# A server imports TensorFlow and loads the model before it answers.
WAIT_SECONDS = 300.0
ASKING_VERBS = (*TEXT_VERBS, "predict")


def build_parser() -> argparse.ArgumentParser:
    """Build the parser: one subcommand for each verb."""
    parser = argparse.ArgumentParser(
        prog="python -m serving.client",
        description="Client of a model behind TensorFlow Serving's gRPC API.",
        epilog=write_examples(*EXAMPLES),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for verb, summary in SUMMARIES.items():
        options = verbs.add_parser(
            verb,
            help=summary,
            description=summary[0].upper() + summary[1:] + ".",
            epilog=write_examples(verb),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        if verb in TEXT_VERBS:
            add_text_options(options, verb)
        elif verb == "predict":
            add_predict_options(options)
        elif verb == "bench":
            add_bench_options(options)
        elif verb == "wait":
            add_wait_options(options)
        if verb != "bench":
            add_sending_options(options, verb in TEXT_VERBS, verb in ASKING_VERBS)
        add_connection_options(options, own_timeout=verb == "wait")
    return parser


def write_examples(*verbs: str) -> str:
    """Return the epilog of the help text."""
    title = "examples:" if len(verbs) > 1 else "example:"
    return "\n".join([title, *(f"  python -m serving.client {EXAMPLES[verb]}" for verb in verbs)])


def add_text_options(options: argparse.ArgumentParser, verb: str) -> None:
    """Add the sources of texts: arguments, a file, or standard input."""
    group = options.add_argument_group("texts")
    group.add_argument(
        "texts",
        nargs="*",
        type=unicode_text,
        metavar="QUESTION" if verb == "answer" else "TEXT",
        help="texts to send; without any, --data or the lines of standard input",
    )
    add_file_options(group, "question" if verb == "answer" else "text")
    if verb == "search":
        group.add_argument(
            "--index",
            metavar="FOLDER",
            help="version FOLDER/NAME/N with a faiss index, or a copy of assets.extra/faiss in it, "
            "which is searched here; needs faiss-cpu (none: the model is an index)",
        )
    if verb == "classify":
        group.add_argument(
            "--adapter",
            type=unicode_text,
            metavar="NAME",
            help="adapter that answers, of a model with several (none)",
        )
    if verb in SINGLE_TEXT_VERBS:
        return
    pair = "context" if verb == "answer" else "text_pair"
    group.add_argument(
        "--context" if verb == "answer" else "--text-pair",
        dest="text_pair",
        action="append",
        type=unicode_text,
        metavar="TEXT",
        help="context: once for all QUESTIONs or once for each (none)"
        if verb == "answer"
        else "second text of a pair, once for each TEXT (none)",
    )
    group.add_argument(
        "--pairs",
        action="store_true",
        help="each line of input is two texts separated by a tab (off)",
    )
    group.add_argument(
        "--pair-column",
        metavar="NAME",
        help=f"column of the second text in --data ({pair}, where the file has it)",
    )


def add_file_options(group: Any, column: str) -> None:
    """Add --data and --text, which have their older names, too."""
    group.add_argument(
        "--data",
        "--file",
        dest="file",
        metavar="FILE",
        help=".csv, .tsv or .jsonl with named columns, or any other file with one text on each "
        "line; UTF-8 (standard input)",
    )
    group.add_argument(
        "--text",
        "--column",
        dest="column",
        metavar="NAME",
        help=f"column of the text in --data ({column})",
    )


def add_predict_options(options: argparse.ArgumentParser) -> None:
    """Add the options of `predict`."""
    group = options.add_argument_group("inputs")
    group.add_argument(
        "--input",
        action="append",
        dest="inputs",
        metavar="NAME=JSON",
        help="one input of the signature; repeat for each (without it: each line of --data or "
        "standard input is a request, a JSON object of all inputs)",
    )
    group.add_argument(
        "--data", "--file", dest="file", metavar="FILE", help="JSON lines (standard input)"
    )
    group.add_argument(
        "--signature", default="serving_default", help="signature to run (%(default)s)"
    )
    group.add_argument(
        "--outputs", metavar="NAME,...", help="outputs to fetch, separated by commas (all)"
    )


def add_wait_options(options: argparse.ArgumentParser) -> None:
    """Add the options of `wait`."""
    group = options.add_argument_group("waiting")
    group.add_argument(
        "--timeout",
        type=seconds_or_none,
        default=WAIT_SECONDS,
        dest="wait_seconds",
        metavar="SECONDS",
        help="seconds after which waiting is an error; none for no limit (%(default)g)",
    )
    group.add_argument(
        "--pid",
        type=positive_int,
        metavar="PID",
        help="process of a server on this machine; waiting ends at once when it has ended (none)",
    )


def add_bench_options(options: argparse.ArgumentParser) -> None:
    """Add the options of `bench`."""
    group = options.add_argument_group("load")
    group.add_argument(
        "texts",
        nargs="*",
        type=unicode_text,
        metavar="TEXT",
        help="texts to send in a cycle; without any, --data or the lines of standard input",
    )
    add_file_options(group, "the input's name")
    group.add_argument(
        "--input",
        action="append",
        dest="inputs",
        metavar="NAME=JSON",
        help="fixed input of every request, instead of texts; repeat for each input (none)",
    )
    group.add_argument(
        "--signature", default="serving_default", help="signature to run (%(default)s)"
    )
    loop = group.add_mutually_exclusive_group()
    loop.add_argument(
        "--clients",
        type=positive_int,
        default=32,
        help="closed loop: clients that each send the next request after the last answer "
        "(%(default)d)",
    )
    loop.add_argument(
        "--rate",
        type=positive_number,
        help="open loop: requests per second, sent independent of the answers (none)",
    )
    group.add_argument(
        "--texts",
        dest="texts_per_request",
        type=positive_int,
        default=1,
        metavar="N",
        help="texts in each request (%(default)d)",
    )
    group.add_argument(
        "--seconds", type=positive_number, default=10.0, help="seconds of measurement (%(default)g)"
    )
    group.add_argument(
        "--warmup",
        type=not_negative,
        default=2.0,
        help="seconds of load before the measurement (%(default)g)",
    )
