"""Keras Tuner's protocol between machines: one chief has the oracle, workers run the trials."""

from __future__ import annotations

import os
import socket

import grpc
from keras_tuner.src.distribute import utils

from tfpipe.errors import UserError


def is_chief() -> bool:
    """Whether Keras Tuner's variables say that this process has the oracle of others."""
    return bool(utils.is_chief_oracle())


def is_worker() -> bool:
    """Whether they say that the oracle is in another process."""
    return bool(utils.has_chief_oracle()) and not is_chief()


def address() -> tuple[str, int]:
    """Where the chief listens; raises UserError for a port that is none."""
    port = os.environ["KERASTUNER_ORACLE_PORT"]
    if not (port.isdigit() and 0 < int(port) < 65536):
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


def await_chief(seconds: float) -> None:
    """Wait until the chief answers; raises UserError when it does not in time."""
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
