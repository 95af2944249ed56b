"""`python -m serving.client`: requests to a served model from the command line."""

from __future__ import annotations

import argparse
import os
import sys

from serving.client.cli.bench import bench
from serving.client.cli.commands import (
    answer_texts,
    predict,
    show_metadata,
    show_status,
)
from serving.client.cli.connection_args import client_arguments
from serving.client.cli.parser import TEXT_VERBS, build_parser
from serving.client.cli.wait import wait
from serving.client.client import Client
from serving.client.errors import (
    AccessDenied,
    ClientError,
    InvalidRequest,
    ModelNotFound,
    ServerOverloaded,
    ServerUnavailable,
)
from serving.standard_output import replace_unencodable

USER_ERRORS = (InvalidRequest, ModelNotFound, ServerUnavailable, AccessDenied)
VERBS = {
    **dict.fromkeys(TEXT_VERBS, answer_texts),
    "predict": predict,
    "metadata": show_metadata,
    "status": show_status,
    "wait": wait,
    "bench": bench,
}


def main(argv: list[str] | None = None) -> int:
    """Run one verb; return exit status 0 done, 2 user error, 1 fault, 130 interrupted."""
    replace_unencodable()
    arguments = build_parser().parse_args(argv)
    try:
        run(arguments)
        sys.stdout.flush()
    except ClientError as error:
        # Flush first, so that output precedes the message where both go to one file.
        sys.stdout.flush()
        print(error, file=sys.stderr)
        return exit_status(error)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of the pipe has ended; without this Python reports it again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return 0


def run(arguments: argparse.Namespace) -> None:
    """Connect and run the verb. Raises ClientError."""
    with Client(**client_arguments(arguments)) as client:
        VERBS[arguments.verb](client, arguments)


def exit_status(error: ClientError) -> int:
    """Return 2 for an error that the user can fix, 1 for one of the server."""
    if isinstance(error, ServerOverloaded):
        return 1
    return 2 if isinstance(error, USER_ERRORS) else 1
