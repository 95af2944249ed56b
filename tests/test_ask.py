"""Questions to a run or an export in this process: from Python, and by `tfpipe ask`."""

from __future__ import annotations

import io
import json
import subprocess
import sys

import numpy as np
import pytest

import tfpipe
from serving.client import Answer, Classification, Entity
from tests.support.exports import exported
from tests.support.runs import finished_run
from tfpipe import cli
from tfpipe.ask import main
from tfpipe.config import EvaluateConfig
from tfpipe.errors import UserError
from tfpipe.evaluate import evaluate

TEXTS = ["my card 1", "", "rain now please where is the storm today", "refund 我的钱"]


def test_a_run_and_its_export_answer_as_the_evaluation() -> None:
    run = finished_run("classify")
    dev = evaluate(EvaluateConfig(run=str(run.folder)))
    asked = tfpipe.load(run.folder)
    found = asked(list(dev.texts))
    assert all(isinstance(one, Classification) for one in found)
    assert [one.label for one in found] == dev.outputs["label"].tolist()
    np.testing.assert_allclose([one.scores for one in found], dev.outputs["scores"], atol=1e-5)

    versions = exported("classify").folder.parent
    for place in (versions, versions / "1"):
        served = tfpipe.load(str(place))
        assert served.label_names == ["card", "refund", "weather"]
        for one, other in zip(served(TEXTS), asked(TEXTS), strict=True):
            assert one.label == other.label and one.score == pytest.approx(other.score, abs=1e-5)
    assert served("my card")[0].label == "card" and served([]) == []


def test_pairs_and_questions_are_named_or_in_order() -> None:
    pairs = tfpipe.load(finished_run("pairs").folder)
    (one,), (other,) = pairs(["card 1"], ["about 2"]), pairs(text=["card 1"], text_pairs="about 2")
    assert one.label == other.label == "card" and one.score == other.score
    questions = tfpipe.load(finished_run("qa").folder)
    context = "7 my card : rome . is"
    (answer,) = questions(question=["card ?"], context=[context])
    assert isinstance(answer, Answer) and context[answer.start : answer.end] == answer.answer
    assert [answer] == questions(["card ?"], [context])
    for wrong in (
        lambda: questions(["card ?"]),
        lambda: questions(["a"], ["b"], ["c"]),
        lambda: questions(["a"], question=["b"]),
        lambda: questions(["a"], text_pair=["b"]),
    ):
        with pytest.raises(UserError, match="question and context"):
            wrong()
    with pytest.raises(UserError, match="2 of question, 1 of context"):
        questions(["a", "b"], ["c"])
    with pytest.raises(UserError, match="not a string"):
        pairs(["a"], [None])


def test_entities_are_lists(capsys: pytest.CaptureFixture[str]) -> None:
    run = str(finished_run("tag").folder)
    nothing, found = tfpipe.load(run)(["? ! 1", "ann met rome 7"])
    assert isinstance(found, list) and all(isinstance(one, Entity) for one in found)
    assert main([run, "ann met rome 7", "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["entities"] == [vars(one) for one in found] != []
    assert main([run, "? ! 1", "ann met rome 7"]) == 0
    heading, *lines = capsys.readouterr().out.splitlines()
    assert heading.split() == ["line", "score", "entity", "place", "words"]
    assert [line.split()[0] for line in lines] == ["1"] * max(1, len(nothing)) + ["2"] * len(found)
    assert main([run, "a", "--scores"]) == 2
    assert "found: tag" in capsys.readouterr().err


def test_the_command_prints_labels_and_named_scores(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    export = str(exported("classify").folder)
    (expected,) = tfpipe.load(export)(["my card 1"])
    assert main([export, "--scores", "my card 1"]) == 0
    heading, answer, best, *others = capsys.readouterr().out.splitlines()
    assert answer.split() == [f"{expected.score:.4f}", "card", "my", "card", "1"]
    assert best.split() == [f"{expected.score:.4f}", "card"] and len(others) == 2
    lines = io.TextIOWrapper(io.BytesIO("my card 1\n退款 9\n".encode()), encoding="utf-8")
    monkeypatch.setattr(sys, "stdin", lines)
    assert main([export, "-", "--json", "--scores"]) == 0
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(one["text"], one["label"]) for one in records] == [
        ("my card 1", "card"),
        ("退款 9", "refund"),
    ]
    assert records[0]["scores"] == pytest.approx(
        dict(zip(["card", "refund", "weather"], expected.scores.tolist(), strict=True)), abs=1e-6
    )
    assert main([export, "a", "--text-pair", "b"]) == 2
    assert "leave out --text-pair" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "named"),
    [([], "RUN_OR_EXPORT is missing"), (["runs/none"], "TEXTS is missing")],
)
def test_what_is_missing_is_named(
    arguments: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert named in capsys.readouterr().err


def test_a_server_is_asked_by_the_client(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.VERBS["client"][0] == "serving.client.cli.main"
    command = ["classify", "--target", "localhost:1", "--model", "m", "a"]
    assert cli.main(["ask", *command]) == 2
    reported = capsys.readouterr().err
    assert "tfpipe client" in reported and "No server answers at localhost:1" in reported


def test_the_package_runs_its_verbs_and_is_light() -> None:
    script = "import sys, tfpipe; print(tfpipe.load, {'numpy', 'tensorflow'} & set(sys.modules))"
    for command, start in (
        (["-m", "tfpipe", "--version"], f"tfpipe {tfpipe.__version__}\n"),
        (["-m", "tfpipe"], "usage: tfpipe VERB"),
        (["-c", script], "<function load"),
    ):
        done = subprocess.run(
            [sys.executable, *command], capture_output=True, text=True, check=True
        )
        assert done.stdout.startswith(start)
    assert done.stdout.endswith("set()\n")
