"""Keras Tuner's protocol between machines: one chief has the oracle, workers run the trials."""

from __future__ import annotations

import os
import socket

from tfpipe.errors import UserError

NAMES = ("KERASTUNER_TUNER_ID", "KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT")


def is_chief() -> bool:
    """Whether Keras Tuner's variables say that this process has the oracle of others."""
    return "KERASTUNER_ORACLE_IP" in os.environ and "chief" in os.environ["KERASTUNER_TUNER_ID"]


def is_worker() -> bool:
    """Whether they say that the oracle is in another process."""
    return "KERASTUNER_ORACLE_IP" in os.environ and not is_chief()


def check_variables() -> None:
    """Raise UserError where Keras Tuner's variables are not all there, or no address."""
    there = [name for name in NAMES if name in os.environ]
    # An id alone is but a name.
    if not set(there) - {NAMES[0]}:
        return
    if len(there) < len(NAMES):
        raise UserError(
            "a search on several machines needs all three variables of Keras Tuner",
            f"{', '.join(there)}, not {', '.join(sorted(set(NAMES) - set(there)))}",
            "set all of them in every process, or none",
        )
    address()


def address() -> tuple[str, int]:
    """Where the chief listens; raises UserError for a port that is none."""
    port = os.environ["KERASTUNER_ORACLE_PORT"]
    if not (port.isdecimal() and 0 < int(port) < 65536):
        raise UserError(
            "the chief's port is no port",
            f"KERASTUNER_ORACLE_PORT={port}",
            "give a number from 1 to 65535",
        )
    return os.environ["KERASTUNER_ORACLE_IP"], int(port)


def check_port() -> None:
    """Raise UserError where the chief cannot listen: Keras Tuner would wait for ever."""
    host, port = address()
    try:
        with socket.create_server((host, port)):
            pass
    except OSError as error:
        raise UserError(
            "the chief cannot listen at its address",
            f"{host}:{port}: {error.strerror}",
            "free the port, or set KERASTUNER_ORACLE_IP and KERASTUNER_ORACLE_PORT to another",
        ) from None


def wait_for_chief(seconds: float) -> None:
    """Wait until the chief answers; raises UserError when it does not in time."""
    import grpc

    host, port = address()
    with grpc.insecure_channel(f"{host}:{port}") as channel:
        try:
            grpc.channel_ready_future(channel).result(timeout=seconds)
        except grpc.FutureTimeoutError:
            raise UserError(
                "the chief cannot be reached",
                f"nobody answered at {host}:{port} for {seconds:g} s (--patience)",
                "start the chief, or mend KERASTUNER_ORACLE_IP and KERASTUNER_ORACLE_PORT",
            ) from None
