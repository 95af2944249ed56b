"""HTTP requests of the tests: by http.client, or byte by byte."""

from __future__ import annotations

import http.client
import json
import socket

PATIENCE = 120


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
