"""TLS and mutual TLS from TensorFlow Serving's text SSLConfig."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc

from serving.proto_builder import build_messages
from serving.server.errors import RequestError, StartFailure
from serving.server.text_proto import read_text_proto

SSLConfig = build_messages(
    "SSLConfig: server_key=1 string, server_cert=2 string, custom_ca=3 string, client_verify=4 bool"
)["SSLConfig"]
EXAMPLE = 'server_key: "-----BEGIN PRIVATE KEY-----\\n..." server_cert: "-----BEGIN CERT..."'


def read_credentials(path: str) -> grpc.ServerCredentials | None:
    """The credentials that `--ssl_config_file` describes, None without. Raises StartFailure."""
    if not path:
        return None
    try:
        config = read_text_proto(Path(path), SSLConfig(), quotable=False)
    except RequestError as error:
        fix = f"--ssl_config_file is a text SSLConfig with PEM text inline, as in {EXAMPLE}"
        raise StartFailure(error.code, error.details, fix) from None
    for field in ("server_key", "server_cert"):
        if "-----BEGIN " not in getattr(config, field):
            raise refuse(
                path, f"it has no PEM text in {field}", f"PEM text inline, no path: {EXAMPLE}"
            )
    if config.client_verify and not config.custom_ca:
        raise refuse(
            path,
            "client_verify is true and there is no custom_ca",
            "add the certificates that clients' certificates are signed with as custom_ca",
        )
    if config.custom_ca and "-----BEGIN " not in config.custom_ca:
        raise refuse(path, "it has no PEM text in custom_ca", "PEM text inline, no path")
    pair = (config.server_key.encode(), config.server_cert.encode())
    credentials = grpc.ssl_server_credentials(
        [pair], config.custom_ca.encode() or None, config.client_verify
    )
    try:
        # gRPC reads the texts when a port is opened, and tells that failure from a taken port
        # by nothing: this one is free.
        grpc.server(ThreadPoolExecutor(1)).add_secure_port("127.0.0.1:0", credentials)
    except RuntimeError:
        raise refuse(
            path,
            "its key, certificates or custom_ca cannot be read, or the key is another one's",
            "give the PEM texts whole, and the key that server_cert was made for",
        ) from None
    return credentials


def refuse(path: str, found: str, fix: str) -> StartFailure:
    """The failure of a start with this file."""
    return StartFailure(
        grpc.StatusCode.INVALID_ARGUMENT, f"Cannot use --ssl_config_file={path}: {found}", fix
    )
