"""Distributed search by Keras Tuner's protocol: the chief runs the oracle, workers run trials."""

from __future__ import annotations

import os
import socket

from tfpipe.errors import UserError

NAMES = ("KERASTUNER_TUNER_ID", "KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT")


def is_chief() -> bool:
    """Return whether Keras Tuner's environment variables make this process the chief."""
    return "KERASTUNER_ORACLE_IP" in os.environ and "chief" in os.environ["KERASTUNER_TUNER_ID"]


def is_worker() -> bool:
    """Return whether Keras Tuner's environment variables make this process a worker."""
    return "KERASTUNER_ORACLE_IP" in os.environ and not is_chief()


def check_variables() -> None:
    """Check Keras Tuner's environment variables.

    Raises:
        UserError: If only some of them are set, or the port is invalid.
    """
    present = [name for name in NAMES if name in os.environ]
    # The tuner id alone does not make a search distributed.
    if not set(present) - {NAMES[0]}:
        return
    if len(present) < len(NAMES):
        raise UserError(
            "a search on several machines needs all three variables of Keras Tuner",
            f"{', '.join(present)}, not {', '.join(sorted(set(NAMES) - set(present)))}",
            "set all of them in every process, or none",
        )
    address()


def address() -> tuple[str, int]:
    """Return the host and the port of the chief.

    Raises:
        UserError: If the port is not a number from 1 to 65535.
    """
    port = os.environ["KERASTUNER_ORACLE_PORT"]
    if not (port.isdecimal() and 0 < int(port) < 65536):
        raise UserError(
            "the chief's port is not valid",
            f"KERASTUNER_ORACLE_PORT={port}",
            "give a number from 1 to 65535",
        )
    return os.environ["KERASTUNER_ORACLE_IP"], int(port)


def check_port() -> None:
    """Check that the chief can listen at its address; Keras Tuner would hang if it could not.

    Raises:
        UserError: If the address cannot be bound.
    """
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
    """Wait until the chief accepts connections.

    Args:
        seconds: Longest time to wait.

    Raises:
        UserError: If the chief cannot be reached in that time.
    """
    import grpc

    host, port = address()
    with grpc.insecure_channel(f"{host}:{port}") as channel:
        try:
            grpc.channel_ready_future(channel).result(timeout=seconds)
        except grpc.FutureTimeoutError:
            raise UserError(
                "the chief cannot be reached",
                f"no answer from {host}:{port} for {seconds:g} s (--patience)",
                "start the chief, or correct KERASTUNER_ORACLE_IP and KERASTUNER_ORACLE_PORT",
            ) from None
