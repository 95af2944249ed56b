"""`tfpipe.index`: from a table to a served index, its proofs, and what it refuses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from serving.client import Client, SearchResult
from tests.support.exports import exported
from tests.support.indexes import NAMES, NOWHERE, indexed, write_entries, write_questions
from tests.support.runs import finished_run
from tests.support.servers import served
from tfpipe.config import ExportConfig, IndexConfig
from tfpipe.doctoring.export_folder import check_export
from tfpipe.export import export
from tfpipe.exporting.clean_process import as_answers
from tfpipe.exporting.info import read_info
from tfpipe.exporting.warmup import read_warm_up
from tfpipe.index import index, main
from tfpipe.retrieval.entries import Entries
from tfpipe.retrieval.indexed_model import IndexedModel, Search, Statistics
from tfpipe.retrieval.lexical import build_postings
from tfpipe.retrieval.reference import Reference
from tfpipe.retrieval.text_encoder import open_encoder
from tfpipe.retrieval.verify_index import Verification, compare_with_reference


def answer(folder: Path, texts: list[str]) -> dict[str, list]:
    model = tf.saved_model.load(str(folder))
    found = model.signatures["serving_default"](text=tf.constant(texts, tf.string))
    return {name: values.numpy().tolist() for name, values in found.items()}


def test_an_index_answers_and_says_when_nothing_does() -> None:
    found = answer(indexed(), ["where is my card today", *NOWHERE, "", " \n"])
    assert found["id"][0][0] == b"card-id" and found["answer"][0][0] == b"About card."
    assert json.loads(found["payload"][0][0]) == {"source": "page of card"}
    assert all(ids == [b"", b"", b""] for ids in found["id"][-2:])
    assert found["score"][-1] == [-1, -1, -1]
    nothing = sum(ids[0] == b"" for ids in found["id"][1 : 1 + len(NOWHERE)])
    assert nothing == len(NOWHERE)


def test_what_is_published() -> None:
    folder = indexed()
    info = read_info(folder)
    assert info["task"] == "search" and info["labels"] == []
    assert info["index"]["entries"] == len(NAMES) and info["index"]["top_k"] == 3
    assert info["index"]["columns"] == {"text": "question", "id": "id", "answer": "answer"}
    assert 0 < info["index"]["floor"] < 1
    metrics = info["metrics"]["tune"]
    assert metrics["questions"] == 2 * len(NAMES) + len(NOWHERE)
    assert metrics["hybrid"]["recall_at_1"] > 0.9 and metrics["lexical"]["recall_at_1"] > 0.9
    parity = json.loads((folder / "assets.extra" / "parity.json").read_text())
    assert parity == info["parity"] and {"entries", "questions", "edges"} < {*parity}
    assert all(parity[name]["other_labels"] == 0 for name in ("entries", "questions", "edges"))
    assert len(read_warm_up(folder)) == 12


@pytest.mark.usefixtures("forked_openings")
def test_the_doctor_finds_no_fault() -> None:
    diagnosis = check_export(indexed())
    assert not diagnosis.count("problem"), diagnosis.as_lines()
    texts = [finding.sentence for finding in diagnosis.findings]
    assert any(text.startswith(f"It is an index of {len(NAMES)} entries") for text in texts)
    assert any(" search --model faq" in command.line for command in diagnosis.commands)


def test_a_server_answers_the_client() -> None:
    folder = indexed()
    flags = ("--model_name=faq", f"--model_base_path={folder.parent}")
    with served(*flags) as target, Client(target, model="faq") as client:
        (first, *_), nothing = client.search(["退款 please", NOWHERE[0]])
    expected = ("退款-id", "About 退款.", {"source": "page of 退款"})
    assert isinstance(first, SearchResult) and nothing == []
    assert (first.id, first.answer, first.payload) == expected and 0.3 < first.score <= 1


def test_the_command_publishes_the_next_version_that_is_not_worse(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models = tmp_path / "models" / "faq"
    shutil.copytree(indexed().parent, models)
    tune = write_questions(tmp_path / "q.tsv")
    data = str(write_entries(tmp_path / "faq.tsv"))
    given = [str(exported("classify").folder.parent), "--to", str(models), "--tune", str(tune)]
    # Entries under the wrong words: the version before is better.
    turned = str(write_entries(tmp_path / "turned.tsv"))
    rows = Path(turned).read_text(encoding="utf-8").splitlines()
    ids = [row.split("\t")[0] for row in rows[1:]]
    changed = [
        "\t".join([entry, *row.split("\t")[1:]])
        for entry, row in zip([*ids[1:], ids[0]], rows[1:], strict=True)
    ]
    Path(turned).write_text("\n".join([rows[0], *changed]) + "\n", encoding="utf-8")
    gate = ["--not-worse-than", str(models / "1"), "--no-measure-serving"]
    assert main([*given, *gate, "--data", turned]) == 2
    assert "the index is worse than --not-worse-than allows" in capsys.readouterr().err
    required = ["--require", "lexical.recall_at_1>0.5", "--keep", "1", "--json"]
    assert main([*given, *gate, "--data", data, "--lexical-only", *required]) == 0
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    assert (found["version"], found["weight"], found["removed"]) == (2, 0.0, [1])
    assert found["lexical"]["recall_at_5"] == 1 and found["answering"]["threshold"] > 0
    assert "serving.client search --model faq" in captured.err
    assert sorted(path.name for path in models.iterdir()) == ["2"]
    assert json.loads((models / "2/assets.extra/gate.json").read_text())["not_worse_than"]


def test_refusals_leave_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = ["--data", str(write_entries(tmp_path / "faq.tsv"))]
    good, new = str(exported("classify").folder), ["--to", str(tmp_path / "models" / "faq")]

    def refused(*arguments: str) -> str:
        assert main([*arguments]) == 2
        return capsys.readouterr().err

    pairs = str(exported("pairs").folder)
    assert "its signature embed takes text and text_pair" in refused(pairs, *data, *new)
    assert "the model gives no embedding of a text" in refused(str(indexed()), *data, *new)
    assert "the folder of the model is missing" in refused(str(tmp_path / "no"), *data, *new)
    tune = ["--tune", str(write_questions(tmp_path / "q.tsv"))]
    gate = [*tune, "--require", "hybrid.recall_at_1>1"]
    assert "hybrid.recall_at_1 is" in refused(good, *data, *new, *gate)
    missing = ["--not-worse-than", str(tmp_path / "no" / "1")]
    assert "--not-worse-than names no version" in refused(good, *data, *new, *tune, *missing)
    assert not (tmp_path / "models").exists()
    other = ["--to", str(exported("classify").folder.parent)]
    assert "its task is classify" in refused(good, *data, *other)


@pytest.mark.parametrize("weight", [0.0, 0.5, 1.0])
def test_the_graph_ranks_as_the_reference(weight: float, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = open_encoder(exported("classify").folder, lexical=True)
    texts = [f"{name} please" for name in NAMES]
    entries = Entries(NAMES, texts, texts, None, {}, ())
    vectors = encoder.embed_all(texts, 4) if weight > 0 else None
    tokens = encoder.tokenize_all(texts) if weight < 1 else None
    unknown = encoder.info["unknown_id"]
    reference = Reference(vectors, tokens, unknown)
    postings = None if tokens is None else build_postings(tokens, unknown)
    search = Search(weight, 0.1, 20)
    verification = Verification(encoder, entries, reference, search)
    asked = ["my card", "refund 退款 rain", "nothing of this", "", "my card", "x" * 300]

    def ask() -> dict[str, np.ndarray]:
        model = IndexedModel(encoder, entries, Statistics(vectors, postings), search, {})
        return as_answers(model.serve(tf.constant(asked)))

    answers = ask()
    assert answers["id"].shape == (6, 20) and (answers["id"][0] != "").any()
    # More places than entries: the rest is unused.
    assert (answers["id"][:, len(NAMES) :] == "").all()
    content = [text.encode() for text in asked]
    parity = compare_with_reference(answers, content, verification, 1e-5)
    assert parity.holds and parity.texts == 6
    wrong = {**answers, "id": answers["id"][:, ::-1]}
    assert compare_with_reference(wrong, content, verification, 1e-5).other_labels > 0
    # A batch that is answered in parts is answered alike.
    monkeypatch.setattr("tfpipe.retrieval.indexed_model.MOST_SCORES", 2 * len(NAMES))
    again = ask()
    assert (again["id"] == answers["id"]).all()
    np.testing.assert_allclose(again["score"], answers["score"], atol=1e-6)


def test_a_batch_without_texts() -> None:
    assert answer(indexed(), [])["id"] == []


@pytest.mark.slow
def test_an_index_of_a_run_is_that_of_its_export(tmp_path: Path) -> None:
    done = index(
        IndexConfig(
            run_or_export=str(finished_run("classify").folder),
            data=str(write_entries(tmp_path / "faq.tsv")),
            tune=str(write_questions(tmp_path / "q.tsv")),
            to=str(tmp_path / "faq"),
            top_k=3,
        )
    )
    texts = ["where is my card", "rain rain", NOWHERE[0]]
    of_run, of_export = answer(Path(done.folder), texts), answer(indexed(), texts)
    assert of_run["id"] == of_export["id"]
    np.testing.assert_allclose(of_run["score"], of_export["score"], atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("kind", ["classify", "multilingual_regress"])
def test_other_tokenizers_and_precisions(kind: str, precision: str, tmp_path: Path) -> None:
    """The vectors of entries and of questions are of one graph, whatever its precision."""
    folder = finished_run(kind).folder
    to = str(tmp_path / "models" / "encoder")
    settings = {"measure_serving": False, "precision": precision}
    encoder = export(ExportConfig(run=str(folder), to=to, **settings))
    done = index(
        IndexConfig(
            run_or_export=str(encoder.folder),
            data=str(write_entries(tmp_path / "faq.tsv")),
            tune=str(write_questions(tmp_path / "q.tsv")),
            to=str(tmp_path / "models" / "faq"),
            measure_serving=False,
        )
    )
    assert read_info(Path(done.folder))["precision"]["precision"] == precision
    found = answer(Path(done.folder), [f"{name} please" for name in NAMES])
    first = [ids[0].decode() for ids in found["id"]]
    assert sum(a == f"{b}-id" for a, b in zip(first, NAMES, strict=True)) >= len(NAMES) - 1
