"""Files answered by a server: over TLS, refused, and gone on with when the server comes back."""

from __future__ import annotations

import json
import shutil
import threading
import time
from pathlib import Path

import pytest

from tests.scripted_server import make_certificates
from tests.serving_models import save_classifier, save_half_plus_two, serve
from tests.support.data import write_messages
from tests.test_tls import write_config
from tfpipe.config import PredictConfig
from tfpipe.errors import UserError
from tfpipe.predict import main, predict


@pytest.fixture(scope="module")
def support(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exports") / "support"
    save_classifier(folder / "7")
    return folder


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    if shutil.which("openssl") is None:
        pytest.skip("no openssl command to make certificates with")
    return make_certificates(tmp_path_factory.mktemp("certificates"))


def config(folder: Path, target: str, rows: int = 60, **values: object) -> PredictConfig:
    settings: dict = {
        "data": str(write_messages(folder / "in.tsv", rows=rows)),
        "out": str(folder / "out.jsonl"),
        "target": target,
        "model": "support",
    }
    return PredictConfig(**(settings | values))


def test_mutual_tls_with_the_client_s_options(
    support: Path, pem: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    ssl = write_config(
        tmp_path,
        server_key=pem["server.key"].read_bytes(),
        server_cert=pem["server.pem"].read_bytes(),
        custom_ca=pem["ca.pem"].read_bytes(),
        client_verify=True,
    )
    data, out = write_messages(tmp_path / "in.tsv", rows=60), tmp_path / "out.jsonl"
    with serve(f"--ssl_config_file={ssl}", support=support) as application:
        asked = ["--target", application.grpc_address, "--model", "support"]
        asked += ["--data", str(data), "--out", str(out)]
        roots = ["--ca", str(pem["ca.pem"])]
        mine = ["--certificate", str(pem["client.pem"]), "--key", str(pem["client.key"])]
        for refused in ([], ["--tls"], roots, [*roots, *mine, "--server-name", "other.example"]):
            assert main([*asked, *refused]) == 2
            assert "the server did not answer" in capsys.readouterr().err
        assert not out.exists()
        assert main([*asked, *roots, *mine, "--server-name", "models.example"]) == 0
    answers = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert len(answers) == 60
    expected = ["long" if len(answer["text"].encode()) > 10 else "short" for answer in answers]
    assert [answer["label"] for answer in answers] == expected


@pytest.mark.parametrize(
    "values,found",
    [
        ({"target": "a b:x"}, "is not an address"),
        ({"ca": "nowhere.pem"}, "file for ca cannot be read"),
        ({"certificate": "mine.pem"}, "needs a certificate and its key"),
        ({"tls": True, "token": "the-secret"}, "must be env:VARIABLE or file:FILE"),
        ({"token": "env:TFPIPE_TEST_TOKEN"}, "token without TLS"),
    ],
)
def test_connections_that_cannot_work(
    tmp_path: Path, values: dict, found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TFPIPE_TEST_TOKEN", "the-secret")
    with pytest.raises(UserError) as caught:
        predict(config(tmp_path, **{"target": "localhost:1", **values}))
    assert caught.value.wrong == "the request to the server is not valid"
    assert found in caught.value.found and "the-secret" not in str(caught.value)


def test_servers_that_do_not_have_it(support: Path, tmp_path: Path) -> None:
    save_half_plus_two(tmp_path / "half" / "1")
    with serve(support=support, half=tmp_path / "half") as application:
        target = application.grpc_address
        for values, wrong in (
            ({"model": "none"}, "does not have this model"),
            ({"version": 9}, "does not have this model"),
            ({"target": "localhost:1"}, "did not answer"),
            ({"model": "half"}, "no signature of a known task"),
        ):
            with pytest.raises(UserError, match=wrong):
                predict(config(tmp_path, **({"target": target} | values)))
        assert predict(config(tmp_path, target, version=7)).rows == 60


def test_a_server_that_goes_away_loses_no_answer(support: Path, tmp_path: Path) -> None:
    note = tmp_path / "out.jsonl.part.json"
    with serve(support=support) as application:
        target = application.grpc_address
        whole = predict(config(tmp_path, target, 3000, out=str(tmp_path / "whole.jsonl"))).out

        def stop_midway() -> None:
            while not note.exists() or json.loads(note.read_text())["rows"] < 100:
                time.sleep(0.001)
            application.stop()

        stopper = threading.Thread(target=stop_midway)
        stopper.start()
        with pytest.raises(UserError, match="did not answer"):
            predict(config(tmp_path, target, 3000, window=8))
        stopper.join()
    kept = json.loads(note.read_text())["rows"]
    assert 100 <= kept < 3000
    with serve(f"--port={target.rsplit(':', 1)[1]}", support=support):
        done = predict(config(tmp_path, target, 3000, window=8))
    assert (done.rows, done.rows_before) == (3000, kept)
    assert done.out.read_bytes() == whole.read_bytes()
