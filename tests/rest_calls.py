"""HTTP requests of the tests: by http.client, or byte by byte."""

from __future__ import annotations

import http.client
import json
import socket
import time

PATIENCE = 120


def free_port() -> int:
    """Return a free port; `--rest_api_port=0` would turn REST off."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def connect(address: str) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(address, timeout=PATIENCE)


def call(address: str, method: str, path: str, body=None, headers=None):
    """Return status, headers and body of the response."""
    connection = connect(address)
    try:
        if isinstance(body, dict):
            body = json.dumps(body)
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def ask(address: str, method: str, path: str, body=None, headers=None):
    """Return status and JSON body of the response."""
    status, answered, content = call(address, method, path, body, headers)
    assert answered["Content-Type"] == "application/json", content
    return status, json.loads(content)


def dial(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=PATIENCE)


def read_all(connection: socket.socket) -> bytes:
    """Read until the server closes the connection."""
    content = b""
    while True:
        try:
            piece = connection.recv(65536)
        except ConnectionResetError:
            return content
        if not piece:
            return content
        content += piece


def wait_for(condition) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)
