"""TLS and mutual TLS, configured by TensorFlow Serving's text SSLConfig."""

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
    """Read the credentials of `--ssl_config_file`, None without it; raises StartFailure."""
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
                path,
                f"{field} is not PEM text",
                f"write the PEM text inline, not a path: {EXAMPLE}",
            )
    if config.client_verify and not config.custom_ca:
        raise refuse(
            path,
            "client_verify needs custom_ca",
            "add the certificate authority of the clients as custom_ca",
        )
    if config.custom_ca and "-----BEGIN " not in config.custom_ca:
        raise refuse(path, "custom_ca is not PEM text", "write PEM text inline, not a path")
    pair = (config.server_key.encode(), config.server_cert.encode())
    credentials = grpc.ssl_server_credentials(
        [pair], config.custom_ca.encode() or None, config.client_verify
    )
    try:
        # gRPC parses the texts when a port is opened, with the same error as for a port in use:
        # this probe opens a free one.
        grpc.server(ThreadPoolExecutor(1)).add_secure_port("127.0.0.1:0", credentials)
    except RuntimeError:
        raise refuse(
            path,
            "key, certificate or custom_ca is invalid, or the key does not match",
            "give complete PEM texts, and the key of server_cert",
        ) from None
    return credentials


def refuse(path: str, found: str, fix: str) -> StartFailure:
    """Build the StartFailure for this file."""
    return StartFailure(
        grpc.StatusCode.INVALID_ARGUMENT, f"Cannot use --ssl_config_file={path}: {found}", fix
    )
