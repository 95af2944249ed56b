"""TLS and mutual TLS from an SSLConfig file, with certificates made for the test."""

from __future__ import annotations

import shutil
import subprocess
from types import SimpleNamespace

import grpc
import pytest

from serving.server.errors import StartFailure
from serving.server.rpc.tls import read_credentials
from tests.serving_calls import Code, predict_request, prediction_stub, refusal
from tests.serving_models import save_classifier, serve

TEXT = predict_request(text=["where is my card"])


def openssl(folder, *arguments):
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


def make_authority(folder, name):
    openssl(folder, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
            "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.crt", "-days", "2",
            "-subj", f"/CN={name}")  # fmt: skip


def make_certificate(folder, name, authority):
    openssl(folder, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")  # fmt: skip
    (folder / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-CA", f"{authority}.crt",
            "-CAkey", f"{authority}.key", "-CAcreateserial", "-days", "2", "-extfile", "names",
            "-out", f"{name}.crt")  # fmt: skip


@pytest.fixture(scope="module")
def pem(tmp_path_factory):
    """PEM texts: `authority` signed `server` and `client`; `stranger` is of another one."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl command to make certificates with")
    folder = tmp_path_factory.mktemp("certificates")
    make_authority(folder, "authority")
    make_authority(folder, "other")
    make_certificate(folder, "server", "authority")
    make_certificate(folder, "client", "authority")
    make_certificate(folder, "stranger", "other")
    texts = {path.name.replace(".", "_"): path.read_bytes() for path in folder.glob("*.*")}
    return SimpleNamespace(**texts)


@pytest.fixture(scope="module")
def support(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exports") / "support"
    save_classifier(folder / "7")
    return folder


def write_config(folder, **fields):
    """An SSLConfig file: PEM text inline, as TensorFlow Serving wants it."""
    path = folder / "ssl.config"
    lines = []
    for name, value in fields.items():
        shown = str(value).lower()
        if isinstance(value, bytes):
            shown = '"' + value.decode().replace("\n", "\\n") + '"'
        lines.append(f"{name}: {shown}")
    path.write_text("\n".join(lines))
    return path


def secure(address, root, key=None, certificate=None):
    return grpc.secure_channel(address, grpc.ssl_channel_credentials(root, key, certificate))


def test_tls_on_the_port_and_nothing_in_the_clear(support, pem, tmp_path):
    config = write_config(tmp_path, server_key=pem.server_key, server_cert=pem.server_crt)
    with serve(f"--ssl_config_file={config}", support=support) as application:
        with secure(application.grpc_address, pem.authority_crt) as channel:
            assert prediction_stub(channel).Predict(TEXT, timeout=60).outputs
        with grpc.insecure_channel(application.grpc_address) as channel:
            assert refusal(prediction_stub(channel).Predict, TEXT)[0] is Code.UNAVAILABLE
        with secure(application.grpc_address, pem.other_crt) as channel:
            assert refusal(prediction_stub(channel).Predict, TEXT)[0] is Code.UNAVAILABLE
        # A client's own certificate is not asked for.
        client = (pem.stranger_key, pem.stranger_crt)
        with secure(application.grpc_address, pem.authority_crt, *client) as channel:
            assert prediction_stub(channel).Predict(TEXT, timeout=60).outputs


def test_mutual_tls_wants_a_certificate_of_the_custom_ca(support, pem, tmp_path):
    config = write_config(
        tmp_path,
        server_key=pem.server_key,
        server_cert=pem.server_crt,
        custom_ca=pem.authority_crt,
        client_verify=True,
    )
    with serve(f"--ssl_config_file={config}", support=support) as application:
        address, root = application.grpc_address, pem.authority_crt
        with secure(address, root, pem.client_key, pem.client_crt) as channel:
            assert prediction_stub(channel).Predict(TEXT, timeout=60).outputs
        with secure(address, root) as channel:
            assert refusal(prediction_stub(channel).Predict, TEXT)[0] is Code.UNAVAILABLE
        with secure(address, root, pem.stranger_key, pem.stranger_crt) as channel:
            assert refusal(prediction_stub(channel).Predict, TEXT)[0] is Code.UNAVAILABLE
        with grpc.insecure_channel(address) as channel:
            assert refusal(prediction_stub(channel).Predict, TEXT)[0] is Code.UNAVAILABLE


def test_the_unix_socket_is_covered_too(support, pem, tmp_path):
    config = write_config(tmp_path, server_key=pem.server_key, server_cert=pem.server_crt)
    path = tmp_path / "server.sock"
    flags = [f"--ssl_config_file={config}", f"--grpc_socket_path={path}"]
    with serve(*flags, support=support):
        with grpc.insecure_channel(f"unix:{path}") as channel:
            assert refusal(prediction_stub(channel).Predict, TEXT)[0] is Code.UNAVAILABLE
        credentials = grpc.ssl_channel_credentials(pem.authority_crt)
        options = [("grpc.ssl_target_name_override", "localhost")]
        with grpc.secure_channel(f"unix:{path}", credentials, options) as channel:
            assert prediction_stub(channel).Predict(TEXT, timeout=60).outputs


def test_files_that_cannot_be_used_end_the_start(pem, tmp_path, caplog):
    key, certificate = pem.server_key, pem.server_crt
    garbage = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    for fields, wanted in [
        ({}, "server_key is not PEM"),
        ({"server_key": key}, "server_cert is not PEM"),
        ({"server_key": b"/etc/server.key", "server_cert": certificate}, "server_key is not PEM"),
        ({"server_key": pem.client_key, "server_cert": certificate}, "the key does not match"),
        ({"server_key": key, "server_cert": garbage}, "is invalid"),
        ({"server_key": key, "server_cert": certificate, "client_verify": True}, "needs custom_ca"),
        (
            {"server_key": key, "server_cert": certificate, "custom_ca": b"x"},
            "custom_ca is not PEM",
        ),
    ]:
        with pytest.raises(StartFailure, match=wanted) as caught:
            read_credentials(str(write_config(tmp_path, **fields)))
        assert caught.value.fix and "Failed to start server. Error: " in str(caught.value)
    unknown = write_config(tmp_path, server_key=key, server_cert=certificate, port=5)
    with pytest.raises(StartFailure, match="Invalid protobuf file") as caught:
        read_credentials(str(unknown))
    # What stands in the file is secret.
    assert "PRIVATE" not in str(caught.value) + caplog.text
    with pytest.raises(StartFailure, match="No such file"):
        read_credentials(str(tmp_path / "nothing"))
