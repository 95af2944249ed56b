"""Connections of serving.client: addresses, round robin, TLS, token, headers, gzip."""

from __future__ import annotations

import contextlib
import logging
import shutil
import socket
import threading

import grpc
import pytest

from serving.client import AccessDenied, Client, InvalidRequest, ServerUnavailable
from serving.client.addresses import build_target, read_addresses
from serving.client.connection import ConnectionOptions
from tests.scripted_server import ScriptedServer, always, classify, make_certificates


@pytest.fixture
def server():
    with ScriptedServer(always(classify)) as server:
        yield server


@pytest.fixture(scope="module")
def pem(tmp_path_factory):
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl command to make certificates")
    return make_certificates(tmp_path_factory.mktemp("certificates"))


def make_credentials(pem, mutual=False):
    pair = (pem["server.key"].read_bytes(), pem["server.pem"].read_bytes())
    return grpc.ssl_server_credentials([pair], pem["ca.pem"].read_bytes(), mutual)


@pytest.mark.parametrize(
    "target, addresses",
    [
        ("localhost:8500", ["localhost:8500"]),
        ("a:1, b:2,", ["a:1", "b:2"]),
        (("a:1", "[::1]:2"), ["a:1", "[::1]:2"]),
        ("dns:///models.example:8500", ["dns:///models.example:8500"]),
        ("ipv4:10.0.0.1:1,10.0.0.2:2", ["ipv4:10.0.0.1:1,10.0.0.2:2"]),
        ("unix:/tmp/serving", ["unix:/tmp/serving"]),
    ],
)
def test_addresses_are_read(target, addresses):
    assert read_addresses(target) == addresses


@pytest.mark.parametrize(
    "target",
    ["", [], "localhost", "http://localhost:8501", "a:1,dns:///b:2", "a:x", "::1:8500", [None]],
    ids=str,
)
def test_malformed_addresses_are_rejected(target):
    with pytest.raises(InvalidRequest, match="HOST:PORT"):
        read_addresses(target)


def test_several_addresses_become_one_list(caplog):
    assert build_target(["127.0.0.1:1", "127.0.0.2:2"]) == "ipv4:127.0.0.1:1,127.0.0.2:2"
    assert build_target(["127.0.0.1:1", "[::1]:2"]) == "ipv6:[::ffff:127.0.0.1]:1,[::1]:2"
    with caplog.at_level(logging.WARNING):
        assert build_target(["127.0.0.1:1", "no.such.host.invalid:2"]) == "ipv4:127.0.0.1:1"
    assert "no.such.host.invalid:2 is skipped" in caplog.text
    with pytest.raises(InvalidRequest, match="None of the names"):
        build_target(["no.such.host.invalid:1", "nor.this.one.invalid:2"])


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_requests_go_round_and_a_server_that_is_down_is_left_out(host):
    servers = [ScriptedServer(always(classify)) for _ in range(3)]
    target = [f"{host}:{server.port}" for server in servers]
    with Client(target, texts_per_request=1, parallel=1) as client:
        assert client.target == ",".join(target)
        while not all(server.calls for server in servers):
            client.classify(["a"])
        before = [len(server.calls) for server in servers]
        client.classify([str(number) for number in range(30)])
        assert [len(server.calls) - b for server, b in zip(servers, before, strict=True)] == [
            10
        ] * 3
        servers[1].stop()
        texts = [str(number) for number in range(50)]
        assert [answer.label for answer in client.classify(texts)] == texts
        # Back again, it gets its share again.
        servers[1] = ScriptedServer(always(classify), port=servers[1].port)
        while not servers[1].calls:
            client.classify(["a"])
        for server in servers:
            server.stop()
        with pytest.raises(ServerUnavailable, match=f"at {host}:{servers[0].port},{host}:"):
            client.classify(["a"])


def test_addresses_of_both_families(server):
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6) as probe:
            down = f"[::1]:{probe.getsockname()[1]}"
    except OSError:
        pytest.skip("this machine has no IPv6")
    with Client([server.address, down]) as client:
        assert client.classify(["a"])[0].label == "a"


def test_tls(pem):
    with ScriptedServer(always(classify), make_credentials(pem)) as server:
        address = f"localhost:{server.port}"
        for ca in (pem["ca.pem"], str(pem["ca.pem"]), pem["ca.pem"].read_bytes()):
            with Client(address, ca=ca) as client:
                assert client.classify(["a"])[0].label == "a"
        with Client(server.address, ca=pem["ca.pem"], server_name="models.example") as client:
            assert client.classify(["a"])[0].label == "a"
        for wrong in ({"tls": True}, {}, {"ca": pem["ca.pem"], "server_name": "other.example"}):
            with (
                Client(address, retries=0, **wrong) as client,
                pytest.raises(ServerUnavailable, match="both sides use TLS"),
            ):
                client.classify(["a"])


def test_tls_over_several_addresses_needs_the_name(pem):
    with (
        ScriptedServer(always(classify), make_credentials(pem)) as one,
        ScriptedServer(always(classify), make_credentials(pem)) as other,
    ):
        addresses = [one.address, other.address]
        with pytest.raises(InvalidRequest, match="server_name"):
            Client(addresses, ca=pem["ca.pem"])
        with Client(addresses, ca=pem["ca.pem"], server_name="localhost") as client:
            while not (one.calls and other.calls):
                client.classify(["a"])


def test_mutual_tls(pem):
    with ScriptedServer(always(classify), make_credentials(pem, mutual=True)) as server:
        files = {"ca": pem["ca.pem"], "certificate": pem["client.pem"], "key": pem["client.key"]}
        with Client(f"localhost:{server.port}", **files) as client:
            assert client.classify(["a"])[0].label == "a"
        with (
            Client(f"localhost:{server.port}", ca=pem["ca.pem"], retries=0) as client,
            pytest.raises(ServerUnavailable),
        ):
            client.classify(["a"])


def test_a_token_is_sent_over_tls_and_a_callable_called_each_time(pem):
    tokens = iter(["one", "two"])
    with (
        ScriptedServer(always(classify), make_credentials(pem)) as server,
        Client(f"localhost:{server.port}", ca=pem["ca.pem"], token=lambda: next(tokens)) as client,
    ):
        client.classify(["a"])
        client.classify(["a"])
    sent = [headers["authorization"] for _, _, headers in server.calls]
    assert sent == ["Bearer one", "Bearer two"]


def test_a_token_goes_over_plaintext_only_on_request(server):
    with pytest.raises(InvalidRequest, match="without TLS is readable"):
        Client(server.address, token="secret")
    with Client(server.address, token="secret", token_over_plaintext=True) as client:
        client.classify(["a"])
        assert "secret" not in repr(client.connection)
    assert server.calls[0][2]["authorization"] == "Bearer secret"
    with (
        Client(server.address, token="secret\n", token_over_plaintext=True) as client,
        pytest.raises(InvalidRequest, match="not one word") as caught,
    ):
        client.classify(["a"])
    assert "secret" not in str(caught.value)


def test_metadata_goes_with_every_request(server):
    headers = {"x-tenant": "caf", "x-trace-bin": b"\x00\xff"}
    for metadata in (headers, list(headers.items())):
        with Client(server.address, metadata=metadata) as client:
            client.classify(["a"])
            client.predict({"text": [b"a"]})
    assert len(server.calls) == 4
    assert all(headers.items() <= call[2].items() for call in server.calls)


class Relay:
    """Passes a connection on to `address` and counts the bytes that go there."""

    def __init__(self, address: str):
        host, port = address.split(":")
        self.sent = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._onward = socket.create_connection((host, int(port)))
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        near, _ = self._listener.accept()
        threading.Thread(target=self._pump, args=(self._onward, near), daemon=True).start()
        self._pump(near, self._onward, count=True)

    def _pump(self, source, sink, count=False) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self.sent += len(data) * count
                sink.sendall(data)


@pytest.mark.parametrize("compression, most", [("gzip", 20_000), (None, None)])
def test_gzip(server, compression, most):
    relay = Relay(server.address)
    text = "Where is my card? " * 10_000
    with Client(relay.address, compression=compression) as client:
        assert client.classify([text])[0].label == text
    assert relay.sent < most if most else relay.sent > len(text)


@pytest.mark.parametrize(
    "settings, part",
    [
        ({"compression": "brotli"}, "None or 'gzip'"),
        ({"certificate": "a.pem"}, "Give both"),
        ({"ca": "no/such/file.pem"}, "cannot be read"),
        ({"ca": b"rubbish"}, "not PEM"),
        ({"metadata": {"X-Tenant": "a"}}, "'X-Tenant'"),
        ({"metadata": {"grpc-timeout": "1S"}}, "reserved"),
        ({"metadata": {"x-tenant": "café"}}, "printable ASCII"),
        ({"metadata": {"x-tenant-bin": "a"}}, "must be bytes"),
        ({"keepalive": -1}, "keepalive is -1"),
    ],
    ids=str,
)
def test_settings_that_cannot_work_are_refused(settings, part):
    with pytest.raises(InvalidRequest, match=part) as caught:
        ConnectionOptions("localhost:8500", **settings)
    assert caught.value.code is None


@pytest.mark.parametrize(
    "arguments, part",
    [
        ({"timeout": 0}, "timeout is 0"),
        ({"timeout": float("inf")}, "timeout is inf"),
        ({"timeout": None}, "timeout is None"),
        ({"texts_per_request": 0}, "texts_per_request is 0"),
        ({"parallel": 1.5}, "parallel is 1.5"),
        ({"retries": -1}, "retries is -1"),
        ({"model": ""}, "must be a name"),
        ({"version": "3"}, "is '3'; it must be"),
        ({"version": 2**63}, "is 9"),
        ({"version": 1, "label": "stable"}, "Both a version and a label"),
    ],
    ids=str,
)
def test_arguments_that_cannot_work_are_refused(arguments, part):
    with pytest.raises(InvalidRequest, match=part):
        Client("localhost:8500", **arguments)


def test_an_unknown_option_is_rejected():
    with pytest.raises(TypeError, match="no option 'time_out'"):
        Client("localhost:8500", time_out=3)


def test_options_of_the_user_win():
    options = ConnectionOptions("a:1", keepalive=60, options={"grpc.keepalive_time_ms": 5})
    assert dict(options.channel_options())["grpc.keepalive_time_ms"] == 5
    assert "grpc.keepalive_time_ms" not in dict(
        ConnectionOptions("a:1", keepalive=0).channel_options()
    )


@pytest.mark.parametrize("code", ["UNAUTHENTICATED", "PERMISSION_DENIED"])
def test_access_denied(code):
    def script(method, request, context):
        context.abort(grpc.StatusCode[code], "who are you")

    with (
        ScriptedServer(script) as server,
        Client(server.address) as client,
        pytest.raises(AccessDenied, match="who are you") as caught,
    ):
        client.classify(["a"])
    assert caught.value.code is grpc.StatusCode[code] and len(server.calls) == 1
