"""The REST server among clients that are broken, slow, or mean it badly: right codes, and alive."""

from __future__ import annotations

import gzip
import json
import random
import zlib

import pytest

from serving.server.request import PendingBytes
from serving.server.rest import http_body
from serving.server.rest.handlers import DECOMPRESSED_LIMIT
from tests.rest_calls import ask, call, dial, read_all
from tests.serving_models import save_echo, save_half_plus_two, serve
from tests.support.waiting import free_port, wait_until

PATH = "/v1/models/half:predict"
HEAD = f"POST {PATH} HTTP/1.1\r\nHost: x\r\n"
LIMIT = 4 * 2**20


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    save_half_plus_two(folder / "half" / "1")
    save_echo(folder / "echo" / "1")
    return {path.name: path for path in folder.iterdir()}


@pytest.fixture(scope="module")
def server(models):
    # Two threads: whoever could hold them up would be noticed.
    with serve(
        f"--rest_api_port={free_port()}",
        "--rest_api_num_threads=2",
        "--request_log=off",
        f"--max_request_bytes={LIMIT}",
        **models,
    ) as application:
        yield application


@pytest.fixture
def address(server):
    """Where the server is; after the test it must answer, and hold nothing."""
    yield server.rest_address
    answers(server.rest_address)
    wait_until(lambda: server.service.pending.total == 0)


def answers(address):
    expected = (200, {"predictions": [2.5]})
    assert ask(address, "POST", PATH, {"instances": [1.0]}) == expected


def pack(body: bytes) -> dict:
    return {"body": body, "headers": {"Content-Encoding": "gzip"}}


@pytest.mark.parametrize(
    ("packed", "reported"),
    [
        (b"no gzip at all", "The body is not gzip"),
        (gzip.compress(b'{"instances": [1.0]}', mtime=0)[:-9], "The gzip body is truncated"),
        (gzip.compress(b"", mtime=0), "JSON Parse error: The document is empty"),
        (b"", "JSON Parse error: The document is empty"),
        (zlib.compress(b"{}"), "The body is not gzip"),
        (gzip.compress(b'{"instances": [1.0]}', mtime=0)[:-8] + b"\0" * 8, "The body is not gzip"),
    ],
)
def test_broken_gzip(address, packed, reported):
    status, answer = ask(address, "POST", PATH, **pack(packed))
    assert status == 400 and reported in answer["error"]


def test_a_gzip_bomb(address):
    packer = zlib.compressobj(9, wbits=31)
    bomb = b"".join(packer.compress(bytes(2**20)) for _ in range(DECOMPRESSED_LIMIT // 2**20))
    bomb += packer.compress(b"0") + packer.flush()
    status, answer = ask(address, "POST", PATH, **pack(bomb))
    assert status == 400 and "The decompressed body is larger than" in answer["error"]


def test_many_small_gzip_members(address):
    packed = gzip.compress(b'{"instances": [1.0]}', mtime=0) + gzip.compress(b"") * 50_000
    assert ask(address, "POST", PATH, **pack(packed)) == (200, {"predictions": [2.5]})


def test_bodies_have_a_limit(address):
    status, answer = ask(address, "POST", PATH, b" " * (LIMIT + 1))
    assert status == 413 and answer["error"] == (f"The request body is larger than {LIMIT} bytes")
    assert call(address, "POST", PATH, b" " * LIMIT)[0] == 400
    pieces = (b" " * 2**16 for _ in range(LIMIT // 2**16 + 1))
    with dial(address) as connection:
        connection.sendall((HEAD + "Transfer-Encoding: chunked\r\n\r\n").encode())
        for piece in pieces:
            connection.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
        connection.sendall(b"0\r\n\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    "sent",
    [
        b"\x00" * 100,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /v1/models/half:predict HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /v1/models/half:predict HTTP/1.1\r\nHost: x\r\nContent-Length: 1e9\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 20_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 10_000 + b"\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
    ids=lambda sent: repr(sent[:20]),
)
def test_what_is_not_http(address, sent):
    with dial(address) as connection:
        connection.sendall(sent)
        assert read_all(connection).split()[1] == b"400"


def test_a_broken_chunk(address):
    with dial(address) as connection:
        connection.sendall((HEAD + "Transfer-Encoding: chunked\r\n\r\nzz\r\n").encode())
        assert read_all(connection).split()[1] == b"400"


def test_clients_that_promise_more_than_they_send(address, server):
    for _ in range(20):
        with dial(address) as connection:
            connection.sendall((HEAD + 'Content-Length: 100000\r\n\r\n{"instances"').encode())
    wait_until(lambda: not server.rest.active_requests)


def test_slow_clients_do_not_block_others(address, server):
    dribbling = [dial(address) for _ in range(100)]
    for number, connection in enumerate(dribbling):
        # Half of them stop within the head, half within the body.
        sent = HEAD if number % 2 else HEAD + "Content-Length: 100\r\n\r\n{"
        connection.sendall(sent.encode())
    wait_until(lambda: server.rest.active_requests == 50)
    answers(address)
    for connection in dribbling:
        connection.close()
    wait_until(lambda: not server.rest.active_requests)


def test_a_body_that_does_not_come(address, monkeypatch):
    monkeypatch.setattr(http_body, "BASE_SECONDS", 0.2)
    with dial(address) as connection:
        connection.sendall((HEAD + "Content-Length: 100\r\n\r\n{").encode())
        answer = connection.recv(1000)
    assert answer.startswith(b"HTTP/1.1 408 ") and b"sent too slowly" in answer


def test_an_answer_that_is_not_read(address, server, monkeypatch):
    monkeypatch.setattr(http_body, "BASE_SECONDS", 0.2)
    monkeypatch.setattr(http_body, "MIN_BYTES_PER_SECOND", 2**30)
    body = json.dumps({"signature_name": "string", "instances": ["x" * (LIMIT - 100)]})
    head = (
        f"POST /v1/models/echo:predict HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    readers = [dial(address) for _ in range(4)]
    for connection in readers:
        connection.sendall((head + body).encode())
    wait_until(lambda: not server.rest.active_requests)
    for connection in readers:
        assert len(read_all(connection)) < len(body)
        connection.close()


def test_bodies_share_a_bound(address, server, monkeypatch):
    monkeypatch.setattr(server.service, "pending", PendingBytes(1000))
    first = dial(address)
    first.sendall((HEAD + "Content-Length: 2000\r\n\r\n" + " " * 900).encode())
    wait_until(lambda: server.service.pending.total == 900)
    status, answer = ask(address, "POST", PATH, b" " * 200)
    assert status == 429 and "pending" in answer["error"]
    first.close()
    wait_until(lambda: server.service.pending.total == 0)


def test_deep_nesting(address):
    for opening in ("[", '{"a":'):
        body = '{"instances": ' + opening * 100_000
        status, answer = ask(address, "POST", PATH, body)
        assert status == 400 and "nested too deeply" in answer["error"]
    # Python reads this, but it is too deep for those who walk it.
    body = '{"instances": [' + "[" * 900 + '"x"' + "]" * 900 + "]}"
    assert ask(address, "POST", PATH, body)[0] == 400


def test_names_that_are_none(address):
    for name in ("%", "%zz", "%ff%fe", "%00", "a%2Fb", "%C3%A9"):
        status, answer = ask(address, "POST", f"/v1/models/{name}:predict", '{"instances": [1]}')
        assert status == 404, answer
        assert answer["error"].startswith("Servable not found for request: Latest(")


def test_a_thousand_malformed_bodies(address):
    seeded = random.Random(7)
    sound = b'{"signature_name": "serving_default", "instances": [{"x": 1.5e0}, {"x": -2}]}'
    for _ in range(1000):
        body = bytearray(sound)
        for _ in range(seeded.randint(1, 4)):
            position = seeded.randrange(len(body))
            body[position : position + seeded.randint(0, 3)] = seeded.randbytes(
                seeded.randint(0, 3)
            )
        status, _, content = call(address, "POST", PATH, bytes(body))
        assert status in (200, 400), (status, body)
        text = content.decode("utf-8", "replace")
        assert set(json.loads(text)) == ({"predictions"} if status == 200 else {"error"})
