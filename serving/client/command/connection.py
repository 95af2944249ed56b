"""The options that say how the server is reached, and the Client's arguments they become."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from serving.client.command.numbers import not_negative_int, positive_int, positive_number
from serving.client.errors import InvalidRequest


def add_connection_options(options: argparse.ArgumentParser, own_timeout: bool) -> None:
    """Server, model and channel: what becomes the Client's arguments.

    own_timeout: whether the verb has a --timeout that is not that of its requests.
    """
    group = options.add_argument_group("server and model")
    group.add_argument(
        "--target",
        action="append",
        metavar="HOST:PORT",
        help="server; several, each with its own --target, take turns (localhost:8500)",
    )
    group.add_argument("--model", default="default", help="name of the model (%(default)s)")
    group.add_argument(
        "--version", type=int, help="version to ask (the newest that the server has ready)"
    )
    group.add_argument("--label", help="version label to ask, instead of --version (none)")
    if not own_timeout:
        group.add_argument(
            "--timeout",
            type=positive_number,
            default=30.0,
            help="seconds each request may take, its retries included (%(default)g)",
        )
    group.add_argument(
        "--json", action="store_true", help="print JSON lines instead of a table (off)"
    )
    group = options.add_argument_group("connection")
    group.add_argument("--tls", action="store_true", help="encrypt; trust the usual roots (off)")
    group.add_argument("--ca", metavar="FILE", help="PEM roots to trust; means --tls (none)")
    group.add_argument("--certificate", metavar="FILE", help="PEM certificate to show (none)")
    group.add_argument("--key", metavar="FILE", help="PEM private key of --certificate (none)")
    group.add_argument(
        "--server-name", metavar="NAME", help="name on the server's certificate (that of --target)"
    )
    group.add_argument(
        "--token",
        metavar="SOURCE",
        help="bearer token, from env:VARIABLE or file:FILE; needs TLS (none)",
    )
    group.add_argument("--gzip", action="store_true", help="compress requests (off)")
    group.add_argument(
        "--metadata",
        action="append",
        metavar="NAME=VALUE",
        help="send this header with every request; may be repeated (none)",
    )


def add_sending_options(options: argparse.ArgumentParser, texts: bool, parallel: bool) -> None:
    """How requests are cut, sent side by side and repeated."""
    group = options.add_argument_group("sending")
    if texts:
        group.add_argument(
            "--texts-per-request",
            type=positive_int,
            default=64,
            metavar="N",
            help="texts in one request (%(default)d)",
        )
    if parallel:
        group.add_argument(
            "--parallel",
            type=positive_int,
            default=4,
            metavar="N",
            help="requests under way at once (%(default)d)",
        )
    group.add_argument(
        "--retries",
        type=not_negative_int,
        default=3,
        metavar="N",
        help="further attempts when the server is away or full, within --timeout (%(default)d)",
    )


def client_arguments(arguments: argparse.Namespace) -> dict[str, Any]:
    """The Client's keywords. Raises InvalidRequest for a token or header that cannot be had."""
    given = vars(arguments)
    targets = arguments.target or ["localhost:8500"]
    same = ("timeout", "texts_per_request", "parallel", "retries")
    return {
        # A single one may also be of a form of gRPC's own, or several with commas between.
        "target": targets[0] if len(targets) == 1 else targets,
        "model": arguments.model,
        "version": arguments.version,
        "label": arguments.label,
        "tls": arguments.tls,
        "ca": arguments.ca,
        "certificate": arguments.certificate,
        "key": arguments.key,
        "server_name": arguments.server_name,
        "token": arguments.token and read_token(arguments.token),
        "metadata": [split_header(header) for header in arguments.metadata or ()],
        "compression": "gzip" if arguments.gzip else None,
        **{name: given[name] for name in same if name in given},
    }


def read_token(source: str) -> str:
    """The token in the environment variable or file that `source` names.

    The source itself may be the token, given by mistake: no message repeats it.
    """
    kind, _, place = source.partition(":")
    if kind == "env" and place:
        token = os.environ.get(place, "")
    elif kind == "file" and place:
        try:
            token = Path(place).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "not UTF-8 text"
            raise InvalidRequest(
                f"The token's file cannot be read. {place}: {reason}. Check its path and rights."
            ) from None
    else:
        raise InvalidRequest(
            "--token is neither env:VARIABLE nor file:FILE. A token itself would be seen by "
            "everybody who lists the processes. Put it in a variable or a file and name that."
        )
    if not token.strip():
        raise InvalidRequest(f"The token is empty. --token names {source}. Set that first.")
    return token.strip()


def split_header(header: str) -> tuple[str, str]:
    """(name, value) of NAME=VALUE."""
    name, equals, value = header.partition("=")
    if not (name and equals):
        raise InvalidRequest(
            f"--metadata needs NAME=VALUE. It was {header!r}. Write it as x-team=search, say."
        )
    return name, value
