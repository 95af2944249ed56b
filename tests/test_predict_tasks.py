"""Files answered by a tagger and by a model of questions: equal everywhere, and gone on with."""

from __future__ import annotations

import dataclasses
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tests.serving_models import save_classifier, serve
from tests.support.data import write_messages
from tests.support.exports import exported
from tests.support.runs import KINDS, finished_run
from tfpipe.config import EvaluateConfig, PredictConfig
from tfpipe.data.examples import Columns
from tfpipe.data.spans import format_spans, parse_spans
from tfpipe.data.splits import read_for
from tfpipe.data.streaming import Window
from tfpipe.data.tabular import read_rows
from tfpipe.errors import UserError
from tfpipe.evaluate import evaluate
from tfpipe.predict import main, predict
from tfpipe.predicting.predictor import spec_of
from tfpipe.predicting.writers import make_writer
from tfpipe.run_folder import Run
from tfpipe.tasks import TASKS
from tfpipe.tasks.task import TaskEvaluation

ENDINGS = {"tag": "conll", "qa": "json"}


@dataclass(frozen=True)
class World:
    """A task's run, its export, a file to answer and what evaluate says of it."""

    task: str
    run: Run
    export: Path
    data: Path
    evaluation: TaskEvaluation


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, World]:
    made = {}
    for task, ending in ENDINGS.items():
        run, export = finished_run(task), Path(exported(task).folder)
        folder = tmp_path_factory.mktemp(task)
        data = KINDS[task].write(folder / f"asked.{ending}", rows=60, seed=5)
        evaluation = evaluate(EvaluateConfig(run=str(run.folder), data=str(data)))
        made[task] = World(task, run, export, data, evaluation)
    return made


@pytest.fixture(params=list(ENDINGS))
def world(worlds: dict[str, World], request: pytest.FixtureRequest) -> World:
    return worlds[request.param]


@pytest.fixture(scope="module")
def server(worlds: dict[str, World], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    support = tmp_path_factory.mktemp("support")
    save_classifier(support / "1")
    exports = {task: world.export.parent for task, world in worlds.items()}
    with serve(support=support, **exports) as application:
        yield application.grpc_address


def place_of(world: World, source: str, server: str) -> list[str]:
    if source == "server":
        return ["--target", server, "--model", world.task]
    return [str(world.run.folder if source == "run" else world.export)]


def read(path: Path) -> tuple[list[str], list[list[str]]]:
    header, rows = read_rows(path)
    return header, [list(row) for row in rows]


# ---- equal answers --------------------------------------------------------------------------


@pytest.mark.parametrize("source", ["run", "export", "server"])
def test_answers_are_those_of_evaluate(
    world: World, server: str, tmp_path: Path, source: str
) -> None:
    out = tmp_path / "out.tsv"
    arguments = [*place_of(world, source, server), "--data", str(world.data), "--out", str(out)]
    assert main([*arguments, "--window", "25", "--batch-size", "16"]) == 0
    header, rows = read(out)
    expected = list(world.evaluation.rows())
    assert len(rows) == len(expected) == 60
    np.testing.assert_allclose(
        [float(row[-1]) for row in rows], [score for *_, score in expected], atol=2e-6
    )
    if world.task == "tag":
        assert header == ["text", "label", "score"]
        assert [row[:2] for row in rows] == [[text, found] for text, _, found, _ in expected]
        assert sum(label != "[]" for _, label, _ in rows) > 20
        return
    assert header == ["question", "context", "answer", "start", "end", "score"]
    assert [" | ".join(row[:2]) for row in rows] == [text for text, *_ in expected]
    assert [row[2] for row in rows] == [found for _, _, found, _ in expected]
    for _, context, answer, start, end, _ in rows:
        assert context[int(start) : int(end)] == answer or (answer, start, end) == ("", "-1", "-1")
    assert sum(bool(row[2]) for row in rows) > 20


def test_what_a_tagger_wrote_can_be_read_as_labels(
    worlds: dict[str, World], server: str, tmp_path: Path
) -> None:
    world, out = worlds["tag"], tmp_path / "out.jsonl"
    asked = PredictConfig(data=str(world.data), out=str(out), target=server, model="tag")
    predict(dataclasses.replace(asked, scores=True))
    read_back = read_for(str(out), Columns(), TASKS["tag"].rules)
    assert list(read_back.labels or ()) == [found for _, _, found, _ in world.evaluation.rows()]
    for line in out.read_text("utf-8").splitlines():
        row = json.loads(line)
        assert len(row["scores"]) == len(parse_spans(row["label"], row["text"]))
        assert row["score"] == min(row["scores"], default=1.0)


def test_questions_in_columns(worlds: dict[str, World], server: str, tmp_path: Path) -> None:
    """The questions of a table are answered as those of SQuAD's JSON."""
    world = worlds["qa"]
    examples = read_for(str(world.data), Columns(), TASKS["qa"].rules)
    rows = zip(examples.text_pairs or (), examples.texts, strict=True)
    lines = ["context\tquestion", *("\t".join(row) for row in rows)]
    (tmp_path / "a.tsv").write_text("\n".join(lines), "utf-8")
    outs = [tmp_path / "1.csv", tmp_path / "2.csv"]
    for data, out in zip((world.data, tmp_path / "a.tsv"), outs, strict=True):
        predict(PredictConfig(data=str(data), out=str(out), target=server, model="qa"))
    assert outs[0].read_bytes() == outs[1].read_bytes()


def test_sentences_for_a_classifier_and_texts_for_a_tagger(
    worlds: dict[str, World], server: str, tmp_path: Path
) -> None:
    """A .conll is a file of texts to any model of single texts."""
    messages = write_messages(tmp_path / "messages.tsv", rows=9)
    for model, data, out in (
        ("support", worlds["tag"].data, tmp_path / "a.csv"),
        ("tag", messages, tmp_path / "b.csv"),
    ):
        predict(PredictConfig(data=str(data), out=str(out), target=server, model=model))
    (header, labelled), (_, tagged) = read(tmp_path / "a.csv"), read(tmp_path / "b.csv")
    assert header == ["text", "label", "score"] and len(labelled) == 60
    sentences = [text for text, *_ in worlds["tag"].evaluation.rows()]
    assert [row[:2] for row in labelled] == [
        [text, "long" if len(text.encode()) > 10 else "short"] for text in sentences
    ]
    assert len(tagged) == 9 and all(label[0] == "[" for _, label, _ in tagged)


# ---- stopped and gone on with -----------------------------------------------------------------


def test_a_kill_leaves_the_bytes_of_an_uninterrupted_run(
    world: World, server: str, tmp_path: Path
) -> None:
    many = tmp_path / f"many.{ENDINGS[world.task]}"
    data = KINDS[world.task].write(many, rows=1500, seed=3)
    whole, out = tmp_path / "whole.tsv.gz", tmp_path / "out.tsv.gz"
    arguments = [*place_of(world, "server", server), "--data", str(data), "--window", "16"]
    assert main([*arguments, "--out", str(whole)]) == 0
    command = [sys.executable, "-m", "tfpipe.predict", *arguments, "--out", str(out)]
    note = tmp_path / "out.tsv.gz.part.json"
    running = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    while running.poll() is None:
        if note.exists() and json.loads(note.read_text())["rows"] >= 200:
            running.send_signal(signal.SIGKILL)
            break
        time.sleep(0.005)
    assert running.wait(timeout=60) == -signal.SIGKILL and not out.exists()
    assert 200 <= json.loads(note.read_text())["rows"] < 1500
    assert main([*arguments, "--out", str(out)]) == 0
    assert out.read_bytes() == whole.read_bytes()


def test_a_broken_line_keeps_the_sentences_before_it(
    worlds: dict[str, World], server: str, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    place = place_of(worlds["tag"], "server", server)
    good = worlds["tag"].data.read_text("utf-8")
    data, out, whole = (tmp_path / name for name in ("a.conll", "out.tsv", "whole.tsv"))
    sentences = good.split("\n\n")
    sentences[30] = "Ann\tB-person\tmore"
    data.write_text("\n\n".join(sentences), "utf-8")
    arguments = [*place, "--data", str(data), "--window", "8", "--out"]
    assert main([*arguments, str(out)]) == 2
    reported = capsys.readouterr().err
    assert "more or fewer columns" in reported and "24 rows are done and kept" in reported
    data.write_text(good, "utf-8")
    assert main([*arguments, str(out)]) == main([*arguments, str(whole)]) == 0
    assert out.read_bytes() == whole.read_bytes()


# ---- refused --------------------------------------------------------------------------------


def test_files_of_another_kind_are_refused(
    worlds: dict[str, World], server: str, tmp_path: Path
) -> None:
    tag, qa = worlds["tag"], worlds["qa"]
    for model, data, column, scores, wrong in (
        ("tag", qa.data, None, False, "the model reads single texts"),
        ("qa", tag.data, None, False, "the model reads questions with their contexts"),
        ("qa", qa.data, None, True, "the model has no scores beside"),
        ("tag", tag.data, "tokens", False, "has no column 'tokens'"),
    ):
        config = PredictConfig(
            data=str(data),
            out=str(tmp_path / "out.tsv"),
            target=server,
            model=model,
            text=column,
            scores=scores,
        )
        with pytest.raises(UserError, match=wrong):
            predict(config)
    assert not list(tmp_path.iterdir())


def test_an_empty_question_is_told_or_answered(
    worlds: dict[str, World], server: str, tmp_path: Path
) -> None:
    content = json.loads(worlds["qa"].data.read_text("utf-8"))
    content["data"][0]["paragraphs"][6]["qas"][0]["question"] = " \t"
    (tmp_path / "a.json").write_text(json.dumps(content))
    out = str(tmp_path / "out.tsv")
    config = PredictConfig(data=str(tmp_path / "a.json"), out=out, target=server, model="qa")
    with pytest.raises(UserError, match="a row has no text") as caught:
        predict(config)
    assert "row 7" in caught.value.found and "--answer-empty" in caught.value.fix
    assert predict(dataclasses.replace(config, answer_empty=True)).rows == 60


# ---- how answers are written ------------------------------------------------------------------


def test_entities_as_columns_of_a_file(tmp_path: Path) -> None:
    spec = spec_of({"text"}, ["entity", "start", "end", "score"])
    assert spec is TASKS["tag"]
    schema = spec.schema.load()
    outputs = {
        "entity": np.array([[b"per", b"", b""], [b"", b"", b""], [b"loc", "组".encode(), b""]]),
        "start": np.array([[0, -1, -1], [-1, -1, -1], [3, 7, -1]], np.int32),
        "end": np.array([[2, -1, -1], [-1, -1, -1], [5, 8, -1]], np.int32),
        "score": np.array([[0.5, 0, 0], [0, 0, 0], [0.75, 0.25, 0]], np.float32),
    }
    answers = schema.write(outputs, None)
    labels = ['[[0, 2, "per"]]', "[]", '[[3, 5, "loc"], [7, 8, "组"]]']
    assert answers["label"].tolist() == labels
    assert [format_spans(parse_spans(label)) for label in labels] == labels
    assert answers["score"].tolist() == [0.5, 1.0, 0.25]
    window = Window(["a", "b", "c\td"], None, 3, "", 1.0)
    table = make_writer(tmp_path / "a.tsv", ["text"], schema, True, None)
    assert (table.header() + table.rows(window, answers)).decode().splitlines() == [
        "text\tlabel\tscore\tscores",
        f"a\t{labels[0]}\t0.500000\t[0.5]",
        f"b\t{labels[1]}\t1.000000\t[]",
        f"c d\t{labels[2]}\t0.250000\t[0.75, 0.25]",
    ]
    none = {name: values[:, :0] for name, values in outputs.items()}
    assert schema.write(none, None)["label"].tolist() == ["[]"] * 3


def test_a_models_task_follows_from_its_inputs_and_outputs() -> None:
    for spec in TASKS.values():
        schema = spec.schema.load()
        for inputs in schema.inputs:
            assert spec_of(inputs, [*schema.outputs, "more"]) is spec
            assert schema.order(set(inputs)) == inputs
        assert spec_of(["x"], schema.outputs) is None and spec_of([], schema.outputs) is None
    assert spec_of({"question", "context"}, ["value"]) is None
    assert spec_of({"text"}, ["answer", "start", "end", "score"]) is None
    # Where several fit, what the model says of itself decides.
    assert spec_of({"text"}, ["label", "score", "scores", "active"]) is TASKS["classify"]
    both = ["label", "score", "scores", "active"]
    assert spec_of({"text"}, both, "multilabel") is TASKS["multilabel"]
    assert spec_of({"text"}, both, "another") is TASKS["classify"]
