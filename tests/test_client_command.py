"""`python -m serving.client`: every verb and its options, against a real server."""

from __future__ import annotations

import json
import shlex
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
import tensorflow as tf

from serving.client.cli.connection_args import client_arguments
from serving.client.cli.main import exit_status, main
from serving.client.cli.parser import EXAMPLES, build_parser
from serving.client.errors import AccessDenied, DeadlineExceeded, ServerFault, ServerOverloaded
from tests.client_run import ask_client, run_client
from tests.serving_models import save_classifier, save_echo, save_task, serve, spec
from tests.support.waiting import free_port

ROOT = Path(__file__).parents[1]


class Tasks(tf.Module):
    """The outputs of multilabel, regress, tag and answer: each a function of the bytes' count."""

    @tf.function(input_signature=[spec([None], tf.string, "text")])
    def multilabel(self, text):
        length = tf.cast(tf.strings.length(text), tf.float32)
        scores = tf.stack([length / 100, 1 - length / 100], axis=1)
        return {"scores": scores, "active": scores > 0.5}

    @tf.function(input_signature=[])
    def info(self):
        return {"info": tf.constant(json.dumps({"task": "multilabel", "labels": ["big", "small"]}))}

    @tf.function(
        input_signature=[spec([None], tf.string, "text"), spec([None], tf.string, "text_pair")]
    )
    def regress(self, text, text_pair):
        return {
            "value": tf.cast(tf.strings.length(text) + tf.strings.length(text_pair), tf.float32)
        }

    @tf.function(input_signature=[spec([None], tf.string, "text")])
    def tag(self, text):
        """The first two code points of a text that has them are a PAIR."""
        found = tf.strings.length(text, unit="UTF8_CHAR") >= 2
        return {
            "entity": tf.where(found, "PAIR", "")[:, None],
            "start": tf.where(found, 0, -1)[:, None],
            "end": tf.where(found, 2, -1)[:, None],
            "score": tf.where(found, 0.5, 0.0)[:, None],
        }

    @tf.function(
        input_signature=[spec([None], tf.string, "question"), spec([None], tf.string, "context")]
    )
    def answer(self, question, context):
        size = tf.minimum(tf.strings.length(question), 3)
        return {
            "answer": tf.strings.substr(context, tf.zeros_like(size), size),
            "start": tf.zeros_like(size),
            "end": size,
            "score": tf.cast(size, tf.float32),
        }


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exports")
    save_classifier(folder / "support" / "7", info={"task": "classify"})
    save_classifier(folder / "paraphrase" / "1", pairs=True)
    save_echo(folder / "echo" / "1")
    save_task(folder / "search" / "1", "search")
    tasks = Tasks()
    for name in ("multilabel", "regress", "tag", "answer"):
        signatures = {"serving_default": getattr(tasks, name), "info": tasks.info}
        tf.saved_model.save(tasks, str(folder / name / "1"), signatures=signatures)
    with serve(**{path.name: path for path in folder.iterdir()}) as application:
        yield application.grpc_address


@pytest.fixture
def unreachable_address():
    """An address where nothing listens."""
    port = free_port()
    return f"127.0.0.1:{port}"


@pytest.fixture
def run(address):
    """run(verb, model, options..., stdin=bytes): exit status, standard output, standard error."""
    return lambda verb, model, *argv, stdin=b"": run_client(
        verb, "--target", address, "--model", model, *argv, stdin=stdin
    )


@pytest.fixture
def ask(address):
    """The same with --json, which must succeed: the objects printed."""
    return lambda verb, model, *argv, stdin=b"": ask_client(
        verb, "--target", address, "--model", model, *argv, stdin=stdin
    )


def test_classify_prints_a_table(run):
    status, out, _ = run("classify", "support", "hi", "Where is my card?")
    assert status == 0
    assert [line.split()[1] for line in out.splitlines()] == ["label", "short", "long"]
    assert out.splitlines()[2].endswith("Where is my card?")


def test_classify_reads_lines_and_prints_json(ask):
    lines = "hi\nWhere is my card?\r\n\n卡在哪里\n".encode() + b"\xff"
    answers = ask("classify", "support", stdin=lines)
    texts = [answer["text"] for answer in answers]
    assert texts == ["hi", "Where is my card?", "", "卡在哪里", "\ufffd"]
    assert [answer["label"] for answer in answers] == ["short", "long", "short", "long", "short"]
    assert all(len(answer["scores"]) == 2 for answer in answers)


def test_classify_names_the_scores(ask, tmp_path):
    save_classifier(tmp_path / "1", info={"task": "classify", "labels": ["short", "long"]})
    with serve(named=tmp_path) as application:
        answer = ask_client(
            "classify", "--target", application.grpc_address, "--model", "named", "hi"
        )[0]
    assert dict(zip(answer["labels"], answer["scores"], strict=True))["short"] == answer["score"]
    assert "labels" not in ask("classify", "support", "hi")[0]


def test_classify_takes_pairs(run, ask):
    (answer,) = ask("classify", "paraphrase", "hello", "--text-pair", "dear reader")
    assert (answer["text_pair"], answer["label"]) == ("dear reader", "long")
    answers = ask("classify", "paraphrase", "--pairs", stdin=b"a\tb\nhello\tdear reader\n")
    assert [answer["label"] for answer in answers] == ["short", "long"]
    status, _, err = run("classify", "paraphrase", "--pairs", stdin=b"no tab\n")
    assert status == 2 and "one tab" in err
    status, _, err = run("classify", "paraphrase", "a", "b", "--text-pair", "c")
    assert status == 2 and "got 2 and 1" in err


def test_nothing_in_nothing_out(run):
    assert run("classify", "support", stdin=b"") == (0, "", "")


def test_the_users_mistakes_have_status_2(address, unreachable_address):
    for argv, part in [
        (["--target", unreachable_address], "No server answers at"),
        (["--target", address, "--model", "suport"], "model 'suport'"),
        (["--target", address, "--model", "support", "--version", "3"], "version 3"),
        (["--target", address, "--version", "3", "--label", "stable"], "Give one of them"),
    ]:
        status, out, err = run_client("classify", *argv, "--retries", "0", "hi")
        assert (status, out) == (2, "") and part in err and "Traceback" not in err
    with socket.create_server(("127.0.0.1", 0)) as silent:
        where = ("--target", f"127.0.0.1:{silent.getsockname()[1]}", "--timeout", "0.3")
        status, _, err = run_client("classify", *where, "hi")
    assert status == 1 and "Raise `timeout`" in err


@pytest.mark.parametrize(
    "error, status",
    [(ServerOverloaded, 1), (ServerFault, 1), (DeadlineExceeded, 1), (AccessDenied, 2)],
)
def test_status_of_other_errors(error, status):
    assert exit_status(error("why")) == status


def test_the_reader_may_go_before_the_end(address):
    command = f"{sys.executable} -m serving.client classify --target {address} --model support"
    done = subprocess.run(
        ["bash", "-c", f"yes 'Where is my card?' | head -20000 | {command} --json | head -1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert json.loads(done.stdout)["label"] == "long" and done.stderr == ""


def test_ctrl_c_ends_quietly(address):
    # A test run in the background ignores SIGINT, and its children would inherit that. The
    # interruption comes from inside, when the command waits for its input.
    script = f"""
import os, signal, sys, threading
signal.signal(signal.SIGINT, signal.default_int_handler)
from serving.client.cli import commands as command_verbs
from serving.client.cli.main import main
read = command_verbs.read_rows
def interrupt(*arguments):
    threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
    return read(*arguments)
command_verbs.read_rows = interrupt
sys.exit(main(["classify", "--target", "{address}", "--model", "support"]))
"""
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    # Standard input stays open: only the interruption ends it.
    assert process.wait(60) == 130
    assert process.communicate()[1] == ""


def test_wait_fails_after_the_timeout(unreachable_address):
    status, out, err = run_client("wait", "--target", unreachable_address, "--timeout", "0.3")
    assert (status, out) == (1, "") and "was not ready within 0.3 s" in err


def test_multilabel(run, ask):
    answers = ask("multilabel", "multilabel", "hi", "x" * 80)
    assert [answer["active"] for answer in answers] == [["small"], ["big"]]
    assert answers[0]["labels"] == ["big", "small"] and answers[0]["text"] == "hi"
    assert answers[1]["scores"] == pytest.approx([0.8, 0.2])
    status, out, _ = run("multilabel", "multilabel", "hi", "x" * 50)
    assert (status, out) == (0, f"labels  text\nsmall   hi\n-       {'x' * 50}\n")


def test_regress(run, ask):
    (answer,) = ask("regress", "regress", "hi", "--text-pair", "you")
    assert answer == {"text": "hi", "text_pair": "you", "value": 5.0}
    status, out, _ = run("regress", "regress", "--pairs", stdin=b"hi\tyou\nhi\tthere\n")
    assert (status, out) == (0, "value   text\n5.0000  hi | you\n7.0000  hi | there\n")


def test_tag(run, ask):
    answers = ask("tag", "tag", "卡在哪里", "x")
    assert answers[0]["entities"] == [{"entity": "PAIR", "start": 0, "end": 2, "score": 0.5}]
    assert answers[1]["entities"] == []
    status, out, _ = run("tag", "tag", stdin="卡在哪里\nx\n".encode())
    assert status == 0
    assert [line.split() for line in out.splitlines()] == [
        ["line", "score", "entity", "place", "words"],
        ["1", "0.5000", "PAIR", "0-2", "卡在"],
        ["2", "-", "-", "-", "-"],
    ]


def test_search(run, ask):
    answers = ask("search", "search", "卡?", "")
    first = {"id": "卡?", "answer": "卡?", "score": 0.5, "payload": {"source": "卡?"}}
    second = {"id": "faq-2", "answer": "faq-2", "score": 0.25, "payload": {}}
    assert [answer["results"] for answer in answers] == [[first, second], []]
    status, out, _ = run("search", "search", "where?", "")
    assert status == 0
    assert [line.split() for line in out.splitlines()] == [
        ["line", "score", "id", "answer"],
        ["1", "0.5000", "where?", "WHERE?"],
        ["1", "0.2500", "faq-2", "faq-2"],
        ["2", "-", "-", "-"],
    ]


def test_answer(run, ask, tmp_path):
    (answer,) = ask("answer", "answer", "Who?", "--context", "seller pays")
    expected = {"question": "Who?", "context": "seller pays", "answer": "sel", "start": 0, "end": 3}
    assert answer == {**expected, "score": 3.0}
    both = ask("answer", "answer", "a", "ab", "--context", "seller")
    assert [answer["answer"] for answer in both] == ["s", "se"]
    assert [a["answer"] for a in ask("answer", "answer", stdin=b"a\tone\nab\ttwo\n")] == ["o", "tw"]
    context = ("--context", "seller")
    assert ask("answer", "answer", *context, stdin=b"ab\n")[0]["context"] == "seller"
    file = tmp_path / "questions.jsonl"
    file.write_text('{"question": "abc", "context": "buyer"}\n')
    assert ask("answer", "answer", "--file", str(file))[0]["answer"] == "buy"
    status, out, _ = run("answer", "answer", "Who?", "--context", "seller pays")
    assert out.splitlines()[1].split() == ["3.0000", "0-3", "sel", "Who?"]
    for argv in (["Who?"], ["a", "b", "--context", "x", "--context", "y", "--context", "z"]):
        status, _, err = run("answer", "answer", *argv)
        assert status == 2 and "--context" in err


def test_answers_come_before_the_input_ends(address):
    argv = ["--target", address, "--model", "support", "--json"]
    process = subprocess.Popen(
        [sys.executable, "-m", "serving.client", "classify", *argv, "--texts-per-request", "1"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin and process.stdout
    process.stdin.write(b"hi\n" * 4)
    process.stdin.flush()
    # Would wait for ever if the program first read all of its input.
    first = [json.loads(process.stdout.readline())["label"] for _ in range(4)]
    process.stdin.close()
    assert first == ["short"] * 4 and process.wait(60) == 0
    process.stdout.close()


def test_status_metadata_and_wait(run, ask):
    assert ask("status", "support") == [{"version": 7, "state": "AVAILABLE", "error": ""}]
    signatures = {line["signature"]: line for line in ask("metadata", "support")}
    assert signatures["multiply"]["inputs"] == {"x": {"dtype": "float32", "shape": [None, 3]}}
    status, out, _ = run("metadata", "echo")
    assert status == 0 and "of any rank" in out
    assert run("wait", "support", "--timeout", "30") == (0, "", "")


def parse(*argv):
    return client_arguments(build_parser().parse_args(["classify", *argv]))


def test_connection_options_become_the_clients_arguments(tmp_path, monkeypatch):
    plain = parse()
    assert plain["target"] == "localhost:8500" and plain["token"] is None
    assert plain["metadata"] == [] and plain["compression"] is None and plain["tls"] is False
    monkeypatch.setenv("THE_TOKEN", "secret\n")
    given = parse(
        *("--target", "a:1", "--target", "b:2", "--tls", "--ca", "ca.pem", "--key", "key.pem"),
        *("--certificate", "my.pem", "--server-name", "models", "--token", "env:THE_TOKEN"),
        *("--gzip", "--metadata", "x-team=search=2", "--parallel", "9", "--retries", "0"),
        *("--timeout", "2.5", "--texts-per-request", "8", "--version", "3"),
    )
    assert given == {
        "target": ["a:1", "b:2"],
        "model": "default",
        "version": 3,
        "label": None,
        "timeout": 2.5,
        "tls": True,
        "ca": "ca.pem",
        "certificate": "my.pem",
        "key": "key.pem",
        "server_name": "models",
        "token": "secret",
        "metadata": [("x-team", "search=2")],
        "compression": "gzip",
        "texts_per_request": 8,
        "parallel": 9,
        "retries": 0,
    }
    (tmp_path / "token").write_text("from-file\n")
    assert parse("--token", f"file:{tmp_path / 'token'}")["token"] == "from-file"


@pytest.mark.parametrize(
    "options, part",
    [
        (("--token", "my-very-secret-token"), "must be env:VARIABLE or file:FILE"),
        (("--token", "env:NOT_SET_ANYWHERE"), "token is empty"),
        (("--token", "file:missing"), "cannot be read"),
        (("--metadata", "team"), "NAME=VALUE"),
    ],
)
def test_options_that_cannot_be_followed(run, options, part):
    status, out, err = run("classify", "support", "hi", *options)
    assert (status, out) == (2, "") and part in err and "secret" not in err


def test_headers_arrive_and_gzip_is_used(capsys, monkeypatch):
    """A stub that refuses every call and keeps what came with it."""
    monkeypatch.setenv("THE_TOKEN", "secret")
    seen = []

    class Refuse(grpc.GenericRpcHandler):
        def service(self, details):
            seen.append(dict(details.invocation_metadata))

            def refuse(request, context):
                context.abort(grpc.StatusCode.UNAUTHENTICATED, "who are you?")

            return grpc.unary_unary_rpc_method_handler(refuse)

    server = grpc.server(ThreadPoolExecutor(1), handlers=[Refuse()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        where = ("--target", f"127.0.0.1:{port}", "--metadata", "x-team=search", "--gzip")
        assert main(["classify", *where, "hi"]) == 2
        assert "who are you?" in capsys.readouterr().err
        assert seen[0]["x-team"] == "search" and "authorization" not in seen[0]
        # A token in the clear is refused before anything is sent.
        calls = len(seen)
        assert main(["classify", *where, "--token", "env:THE_TOKEN", "hi"]) == 2
        err = capsys.readouterr().err
        assert "TLS" in err and "secret" not in err and len(seen) == calls
    finally:
        server.stop(0).wait()


def test_a_target_may_be_given_more_than_once(address, ask):
    assert ask("classify", "support", "--target", address, "hi")[0]["label"] == "short"


@pytest.mark.parametrize("verb", EXAMPLES)
def test_help_has_an_example_that_parses(verb, capsys):
    with pytest.raises(SystemExit) as end:
        main([verb, "--help"])
    out = capsys.readouterr().out
    assert end.value.code == 0 and "example:" in out and "(localhost:8500)" in out
    arguments = build_parser().parse_args(shlex.split(EXAMPLES[verb]))
    assert arguments.verb == verb


@pytest.mark.parametrize(
    "options",
    [("--timeout", "0"), ("--timeout", "nan"), ("--parallel", "0"), ("--retries", "-1")],
    ids=" ".join,
)
def test_numbers_out_of_range_are_refused_at_once(options, capsys):
    with pytest.raises(SystemExit) as end:
        main(["classify", *options, "hi"])
    assert end.value.code == 2 and options[1] in capsys.readouterr().err
