"""Proxies of the environment between client and server."""

from __future__ import annotations

import pytest

from serving.client import Client, ServerUnavailable
from serving.client.proxies import EXCEPTIONS, PROXIES, describe_proxy, is_loopback
from tests.scripted_server import ScriptedServer, always, classify
from tests.support.waiting import free_port


@pytest.fixture(autouse=True)
def no_variables(monkeypatch):
    for name in (*PROXIES, *EXCEPTIONS):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("variable", PROXIES)
def test_a_server_on_this_machine_is_reached_directly(monkeypatch, variable):
    monkeypatch.setenv(variable, f"http://127.0.0.1:{free_port()}")
    with ScriptedServer(always(classify)) as server, Client(server.address, "m") as client:
        assert [answer.label for answer in client.classify(["a"])] == ["a"]


def test_an_error_names_the_proxy_without_its_password(monkeypatch):
    place = f"127.0.0.1:{free_port()}"
    monkeypatch.setenv("https_proxy", f"http://user:secret@{place}")
    with (
        Client("192.0.2.1:8500", "m", retries=0, timeout=20) as client,
        pytest.raises(ServerUnavailable) as caught,
    ):
        client.status()
    assert str(caught.value).endswith(
        f"The connection goes through the proxy {place} (https_proxy): check it, or add 192.0.2.1 "
        "to no_proxy to connect directly."
    )
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "here"),
    [
        ("localhost:8500", True),
        ("LocalHost:8500", True),
        ("127.8.0.1:8500", True),
        ("[::1]:8500", True),
        ("unix:/run/model", True),
        ("ipv4:127.0.0.1:8500", True),
        ("dns:///localhost:8500", True),
        ("0.0.0.0:8500", True),
        ("localhost.example.org:8500", False),
        ("dns:///models.example.org:8500", False),
        ("128.0.0.1:8500", False),
        ("[2001:db8::1]:8500", False),
    ],
)
def test_addresses_of_this_machine(address, here):
    assert is_loopback(address) is here


@pytest.mark.parametrize(
    ("variables", "proxy"),
    [
        ({}, None),
        ({"http_proxy": "http://a:1", "grpc_proxy": "http://b:2"}, "b:2 (grpc_proxy)"),
        ({"http_proxy": "http://a:1", "no_proxy": "other.org"}, "a:1 (http_proxy)"),
        ({"http_proxy": "http://a:1", "no_proxy": "x, .EXAMPLE.org"}, None),
        ({"http_proxy": "http://a:1", "no_grpc_proxy": "x", "no_proxy": "example.org"}, "a:1"),
    ],
)
def test_which_proxy_is_used(monkeypatch, variables, proxy):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    found = describe_proxy(["models.example.org:8500"])
    assert proxy in found if proxy else not found
    assert not describe_proxy(["localhost:8500"])


def test_networks_without_a_proxy(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://a:1")
    monkeypatch.setenv("no_proxy", "10.0.0.0/8")
    assert not describe_proxy(["10.1.2.3:8500"]) and describe_proxy(["11.1.2.3:8500"])
