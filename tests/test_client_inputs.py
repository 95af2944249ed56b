"""Inputs of the command line: files of texts, and JSON for any signature."""

from __future__ import annotations

import json

import numpy as np
import pytest

from serving.client.cli.json_arrays import to_array, to_json
from serving.client.cli.text_input import read_rows
from serving.client.errors import InvalidRequest
from tests.client_run import ask_client, run_client
from tests.serving_models import save_classifier, save_echo, serve

TEXTS = ["hi", "Where is my card?"]


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exports")
    save_classifier(folder / "support" / "7", info={"task": "classify"})
    save_classifier(folder / "paraphrase" / "1", pairs=True)
    save_echo(folder / "echo" / "1")
    with serve(**{path.name: path for path in folder.iterdir()}) as application:
        yield application.grpc_address


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


def test_texts_from_files(ask, tmp_path):
    files = {
        "plain.txt": "\n".join(TEXTS).encode(),
        "mark.txt": "\ufeffhi\r\nWhere is my card?\r\n".encode(),
        "named.jsonl": b'{"text": "hi"}\n\n{"id": 3, "text": "Where is my card?"}\n',
        "quoted.csv": b'id,text\r\n1,hi\r\n2,"Where is my card?"\r\n',
        "plain.tsv": b"text\tid\nhi\t1\nWhere is my card?\t2\n",
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
        answers = ask("classify", "support", "--file", str(tmp_path / name))
        assert [answer["text"] for answer in answers] == TEXTS, name
        assert [answer["label"] for answer in answers] == ["short", "long"], name
    (tmp_path / "other.csv").write_text('message,reply\n"two\nlines, ""so""",dear reader\n')
    chosen = ("--file", str(tmp_path / "other.csv"), "--column", "message")
    assert ask("classify", "support", *chosen)[0]["text"] == 'two\nlines, "so"'
    (pair,) = ask("classify", "paraphrase", *chosen, "--pair-column", "reply")
    assert (pair["text_pair"], pair["label"]) == ("dear reader", "long")
    (tmp_path / "pairs.tsv").write_text('text\ttext_pair\n"hello\tdear reader\n')
    (pair,) = ask("classify", "paraphrase", "--file", str(tmp_path / "pairs.tsv"))
    assert (pair["text"], pair["text_pair"]) == ('"hello', "dear reader")


@pytest.mark.parametrize(
    "name, content, options, part",
    [
        ("missing.txt", None, (), "No such file"),
        ("latin.txt", b"fine\ncaf\xe9\n", (), "line 2: byte 0xe9"),
        ("other.csv", b"message\nhi\n", (), "['text'] of ['message']"),
        ("wide.tsv", b"text\tid\nhi\t1\t2\n", (), "line 2: 3 fields, 2 in the header"),
        ("open.csv", b'text\n"hi\n', (), "quoting is invalid"),
        ("broken.jsonl", b'{"text": "hi"}\n{"text": \n', (), "line 2"),
        ("list.jsonl", b"[1]\n", (), "not a JSON object"),
        ("number.jsonl", b'{"text": 1}\n', (), "A column has no text"),
        ("plain.txt", b"hi\n", ("--column", "text"), "named columns"),
        ("plain.txt", b"hi\n", ("hello",), "exclude each other"),
    ],
)
def test_errors_in_files_name_the_line(run, tmp_path, name, content, options, part):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    status, _, err = run("classify", "support", "--file", str(tmp_path / name), *options)
    assert status == 2 and part in err and err.count("\n") == 1


def test_input_is_read_no_further_than_it_is_answered(tmp_path):
    """A file may be longer than memory: its rows come one at a time."""
    (tmp_path / "endless.txt").write_text("fine\n" * 10)
    with (tmp_path / "endless.txt").open("ab") as file:
        file.write(b"\xff\n")
    rows = read_rows(str(tmp_path / "endless.txt"), ("text",), [None], pairs=False)
    assert [next(rows) for _ in range(10)] == [("fine",)] * 10
    with pytest.raises(InvalidRequest, match="line 11"):
        next(rows)


def test_table_keeps_one_line_an_answer(run, tmp_path):
    (tmp_path / "lines.csv").write_text('text\n"a\nb"\n')
    _, out, _ = run("classify", "support", "--file", str(tmp_path / "lines.csv"))
    assert out.splitlines()[1].endswith("  a b") and len(out.splitlines()) == 2


def test_predict(run, ask):
    options = ("--signature", "multiply", "--input", "x=[[1, 2, 3.5]]")
    assert ask("predict", "support", *options) == [{"product": [[24.5, 31.0]], "total": 55.5}]
    assert ask("predict", "support", *options, "--outputs", "total") == [{"total": 55.5}]
    status, out, _ = run("predict", "support", *options)
    assert status == 0
    assert [line.split() for line in out.splitlines()] == [
        ["product", "float32", "[1,", "2]", "[[24.5,", "31.0]]"],
        ["total", "float32", "[]", "55.5"],
    ]
    assert ask("predict", "support", "--signature", "info") == [{"info": '{"task": "classify"}'}]
    (answer,) = ask("predict", "support", "--input", 'text=["hi", {"b64": "/w=="}]')
    assert answer["label"] == ["short", "short"]


def test_predict_asks_once_a_line_and_keeps_the_order(ask, tmp_path):
    values = [[index] * (index % 5) for index in range(40)]
    lines = "".join(json.dumps({"x": value}) + "\n" for value in values)
    answers = ask(
        "predict", "echo", "--signature", "int64", "--parallel", "3", stdin=lines.encode()
    )
    assert [answer["y"] for answer in answers] == values
    (tmp_path / "requests.jsonl").write_text(lines)
    file = ("--file", str(tmp_path / "requests.jsonl"))
    assert ask("predict", "echo", "--signature", "int64", *file) == answers


@pytest.mark.parametrize(
    "dtype, value",
    [
        ("float16", [1.5, -2]),
        ("bfloat16", [[1.5], [3]]),
        ("float64", 0.1),
        ("int8", [-128, 127]),
        ("uint64", [2**64 - 1, 0]),
        ("int64", [[-(2**63), 2**63 - 1]]),
        ("bool", [True, False]),
        ("string", [["a", "é"], ["", "\0"]]),
        ("string", {"b64": "/wA="}),
        ("complex64", [[1.5, -1], [0, 2]]),
        ("float32", []),
    ],
)
def test_predict_takes_every_dtype(ask, dtype, value):
    options = ("--signature", dtype, "--input", f"x={json.dumps(value)}")
    assert ask("predict", "echo", *options) == [{"y": value}]


@pytest.mark.parametrize(
    "options, part",
    [
        (("--input", "x"), "NAME=JSON"),
        (("--input", "x=hi"), "not JSON"),
        (("--input", "z=[1]"), "Its inputs are x"),
        (("--input", "x=[1.5]"), "cannot be read as int8"),
        (("--input", "x=[300]"), "cannot be read as int8"),
        (("--input", "x=[true]"), "cannot be read as int8"),
        (("--input", "x=[[1], [1, 2]]"), "cannot be read as int8"),
        (("--input", "x=[1]", "--file", "y.jsonl"), "exclude each other"),
        (("--input", "x=[1]", "--signature", "int9"), "It has "),
    ],
)
def test_inputs_that_do_not_fit(run, options, part):
    status, out, err = run("predict", "echo", "--signature", "int8", *options)
    assert (status, out) == (2, "") and part in err


@pytest.mark.parametrize("value", [["a", 1], [["a"], "b"], [["a"], ["b", "c"]], [{"b64": "?"}]])
def test_strings_that_do_not_fit(value):
    with pytest.raises(ValueError):
        to_array(value, "string")


def test_json_of_arrays_goes_both_ways():
    array = np.array([[1 + 2j, 3 - 4j]], np.complex128)
    assert to_json(array) == [[[1.0, 2.0], [3.0, -4.0]]]
    np.testing.assert_array_equal(to_array(to_json(array), "complex128"), array)
    with pytest.raises(ValueError, match="real, imaginary"):
        to_array([1.0, 2.0, 3.0], "complex64")
    assert to_array([], "string").shape == (0,)
