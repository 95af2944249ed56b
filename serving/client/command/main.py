"""`python -m serving.client`: ask a served model from the command line."""

from __future__ import annotations

import argparse
import os
import sys

from serving.client.client import Client
from serving.client.command.bench import bench
from serving.client.command.connection import client_arguments
from serving.client.command.options import build_parser
from serving.client.command.verbs import (
    answer_texts,
    predict,
    show_metadata,
    show_status,
)
from serving.client.command.wait import wait
from serving.client.errors import (
    AccessDenied,
    ClientError,
    InvalidRequest,
    ModelNotFound,
    ServerOverloaded,
    ServerUnavailable,
)

USERS_MISTAKES = (InvalidRequest, ModelNotFound, ServerUnavailable, AccessDenied)
VERBS = {
    "classify": answer_texts,
    "multilabel": answer_texts,
    "regress": answer_texts,
    "tag": answer_texts,
    "answer": answer_texts,
    "predict": predict,
    "metadata": show_metadata,
    "status": show_status,
    "wait": wait,
    "bench": bench,
}


def main(argv: list[str] | None = None) -> int:
    """Run one verb; returns 0 done, 2 the user's mistake, 1 a fault, 130 interrupted."""
    arguments = build_parser().parse_args(argv)
    try:
        run(arguments)
        sys.stdout.flush()
    except ClientError as error:
        # What was printed before stands in front of the sentence, also in a file of both.
        sys.stdout.flush()
        print(error, file=sys.stderr)
        return exit_status(error)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader (head, say) has gone; without this Python complains once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return 0


def run(arguments: argparse.Namespace) -> None:
    """Connect and run the verb. Raises ClientError."""
    with Client(**client_arguments(arguments)) as client:
        VERBS[arguments.verb](client, arguments)


def exit_status(error: ClientError) -> int:
    """2 where the user can set it right, 1 where the server must."""
    if isinstance(error, ServerOverloaded):
        return 1
    return 2 if isinstance(error, USERS_MISTAKES) else 1
