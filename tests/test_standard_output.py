"""Output to a terminal or a file whose encoding lacks characters of the texts."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from serving.client.cli import main as client
from serving.client.cli.parser import build_parser
from serving.server import cli as server
from serving.standard_output import replace_unencodable
from tests.serving_models import save_classifier, serve
from tfpipe import cli, doctor

TEXT = "我要退款 😀"
SHOWN = {"gbk": "我要退款 ?", "ascii": "???? ?", "latin-1": "???? ?", "utf-8": TEXT}


class Output:
    """Standard output in an encoding, within the block of a test."""

    def __init__(self, encoding: str, monkeypatch: pytest.MonkeyPatch):
        self.encoding, self._bytes = encoding, io.BytesIO()
        stream = io.TextIOWrapper(self._bytes, encoding, write_through=True)
        monkeypatch.setattr(sys, "stdout", stream)

    def read(self) -> str:
        """Return what was written since the last call."""
        text = self._bytes.getvalue().decode(self.encoding)
        self._bytes.seek(0)
        self._bytes.truncate()
        return text.strip()


@pytest.fixture(params=SHOWN)
def output(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Output]:
    # A function: pytest sets its own standard output after the fixtures.
    return lambda: Output(request.param, monkeypatch)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("support")
    save_classifier(folder / "1")
    with serve(support=folder) as application:
        yield application.grpc_address


def test_commands_print_what_the_encoding_has(output: Callable[[], Output]) -> None:
    printed = output()
    assert cli.run(lambda: print(TEXT)) == 0
    assert printed.read() == SHOWN[printed.encoding]


def test_a_lone_surrogate_is_replaced(output: Callable[[], Output]) -> None:
    printed = output()
    assert cli.run(lambda: print("\ud800")) == 0
    assert printed.read() == "?"


def test_the_client_prints_tables_and_exact_json(
    output: Callable[[], Output], address: str
) -> None:
    printed = output()
    command = ["classify", "--target", address, "--model", "support", TEXT]
    assert client.main(command) == 0
    assert printed.read().splitlines()[1].endswith(SHOWN[printed.encoding])
    assert client.main([*command, "--json"]) == 0
    assert json.loads(printed.read())["text"] == TEXT


def test_the_server_prints(output: Callable[[], Output], monkeypatch: pytest.MonkeyPatch) -> None:
    printed = output()
    monkeypatch.setattr(server, "print_versions", lambda: print(TEXT) or 0)
    assert server.main(["--version"]) == 0
    assert printed.read() == SHOWN[printed.encoding]


def test_json_of_the_doctor_is_exact(output: Callable[[], Output], tmp_path: Path) -> None:
    printed = output()
    (tmp_path / "a.tsv").write_text(f"text\tlabel\nx\t{TEXT}\ny\tb\n", encoding="utf-8")
    assert doctor.main([str(tmp_path / "a.tsv"), "--json"]) == 2
    assert TEXT in json.loads(printed.read())["findings"][0]["sentence"]


def test_an_argument_that_an_ascii_locale_has_not_decoded() -> None:
    given = TEXT.encode().decode("ascii", "surrogateescape")
    assert build_parser().parse_args(["classify", given, "a"]).texts == [TEXT, "a"]


def test_a_stream_that_leads_elsewhere_than_when_it_was_opened(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stream = io.TextIOWrapper((tmp_path / "out").open("wb", buffering=0), encoding="ascii")
    stream.write("a")
    stream.flush()
    reader, writer = os.pipe()
    os.dup2(writer, stream.fileno())
    monkeypatch.setattr(sys, "stdout", stream)
    replace_unencodable()
    print("\u00e9", flush=True)
    assert os.read(reader, 10) == b"?\n"
    for end in (reader, writer):
        os.close(end)
