"""Tables of more entries than a graph holds: the faiss index beside an encoder, and its search."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from serving.client import AsyncClient, Client, InvalidRequest, SearchResult, open_index
from serving.client.cli.main import main as client_main
from tests.support.exports import exported
from tests.support.indexes import NAMES, write_entries, write_questions
from tests.support.servers import served
from tfpipe.config import IndexConfig
from tfpipe.doctoring.export_folder import check_export
from tfpipe.errors import UserError
from tfpipe.exporting.info import read_info
from tfpipe.exporting.warmup import read_warm_up
from tfpipe.index import Index, index, main

ASKED = ["where is my card now", "退款 please", f"{NAMES[0]} please"]


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Index:
    """models/faq/1, made by the command as if a graph held three entries."""
    folder = tmp_path_factory.mktemp("faiss")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tfpipe.index.MOST_ENTRIES", 3)
        return index(
            IndexConfig(
                run_or_export=str(exported("embed").folder),
                data=str(write_entries(folder / "faq.tsv")),
                tune=str(write_questions(folder / "questions.tsv")),
                require="dense.recall_at_5>=0",
                to=str(folder / "models" / "faq"),
                top_k=4,
                floor=0.1,
                measure_serving=False,
            )
        )


@pytest.fixture(scope="module")
def target(published: Index) -> Iterator[str]:
    folder = Path(published.folder)
    with served("--model_name=faq", f"--model_base_path={folder.parent}") as target:
        yield target


def copied(published: Index, to: Path) -> Path:
    """Return a copy of the index alone, as a client on another machine has it."""
    return shutil.copytree(Path(published.folder, "assets.extra", "faiss"), to)


def test_the_entries_are_those_of_the_highest_cosines(published: Index, target: str) -> None:
    opened = open_index(published.folder)
    assert not published.in_graph and published.entries == len(opened.entries) == len(NAMES)
    with Client(target, model="faq") as client:
        found = client.search([*ASKED, " \n"], index=opened)
        vectors = np.stack(client.embed(ASKED))
        entries = np.stack(client.embed([f"{name} please" for name in NAMES]))
        assert client.search([], index=opened) == []
    cosines = vectors @ entries.T
    assert [len(results) for results in found] == [4, 4, 4, 0]
    for results, row in zip(found, cosines, strict=False):
        best = np.sort(row)[::-1][:4]
        np.testing.assert_allclose([one.score for one in results], best, atol=1e-4)
        assert all(row[NAMES.index(one.id[:-3])] > best[-1] - 1e-4 for one in results)
    name, first = NAMES[0], found[2][0]
    expected = (f"{name}-id", f"About {name}.", {"source": f"page of {name}"})
    assert (first.id, first.answer, first.payload) == expected and first.score > 0.999


def test_the_floor_of_the_index_holds(published: Index, target: str) -> None:
    opened = replace(open_index(published.folder), floor=0.999)
    with Client(target, model="faq") as client:
        found = client.search([f"{name} please" for name in NAMES], index=opened)
    assert all(one.score >= 0.999 for results in found for one in results)
    assert any(found)


def test_the_other_clients_search_it(
    published: Index, target: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copied(published, tmp_path / "faiss")

    async def search() -> list[list[SearchResult]]:
        async with AsyncClient(target, model="faq") as client:
            return await client.search(iter(ASKED), index=open_index(folder))

    with Client(target, model="faq") as client:
        found = client.search(ASKED, index=open_index(folder))
    assert asyncio.run(search()) == found
    where = ("--target", target, "--model", "faq")
    assert client_main(["search", *where, "--index", str(folder), "--json", *ASKED]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line)["results"] for line in lines] == [
        [vars(one) for one in results] for results in found
    ]
    assert client_main(["search", *where, "--index", str(tmp_path), "text"]) == 2
    assert "has no faiss index" in capsys.readouterr().err


@pytest.mark.usefixtures("forked_openings")
def test_what_is_published(published: Index) -> None:
    folder = Path(published.folder)
    info = read_info(folder)
    assert info["task"] == "embed" and info["index"]["entries"] == len(NAMES)
    assert info["gate"]["required"][0]["requirement"] == "dense.recall_at_5>=0"
    assert published.tuned.metrics["dense"]["recall_at_5"] > 0
    assert len(read_warm_up(folder)) > 0
    diagnosis = check_export(folder)
    assert not diagnosis.count("problem"), diagnosis.as_lines()
    sentences = [finding.sentence for finding in diagnosis.findings]
    assert any(f"It has a faiss index of {len(NAMES)} entries" in text for text in sentences)


def test_the_vectors_of_another_encoder_are_refused(
    published: Index, target: str, tmp_path: Path
) -> None:
    folder = copied(published, tmp_path / "faiss")
    settings = json.loads((folder / "index.json").read_text())
    with Client(target, model="faq") as client:
        for other in (settings["probe_vector"][::-1], settings["probe_vector"] * 2):
            changed = settings | {"probe_vector": other}
            (folder / "index.json").write_text(json.dumps(changed))
            with pytest.raises(InvalidRequest, match="another encoder made these"):
                client.search(ASKED, index=open_index(folder))


@pytest.mark.parametrize("name", ["index.json", "vectors.faiss", "entries.jsonl"])
@pytest.mark.parametrize("content", [b"", b"{}\n", None])
def test_a_damaged_index_is_told(
    published: Index, tmp_path: Path, name: str, content: bytes | None
) -> None:
    folder = copied(published, tmp_path / "faiss")
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(content)
    missing = content is None and name == "index.json"
    with pytest.raises(InvalidRequest, match="no faiss index" if missing else "is damaged"):
        open_index(folder)


def test_faiss_is_needed_only_here(
    published: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(InvalidRequest, match="pip install faiss-cpu"):
        open_index(published.folder)
    monkeypatch.setattr("tfpipe.index.MOST_ENTRIES", 3)
    with pytest.raises(UserError, match="pip install faiss-cpu"):
        index(_config(tmp_path, "embed"))


def _config(folder: Path, run: str) -> IndexConfig:
    return IndexConfig(
        run_or_export=str(exported(run).folder),
        data=str(write_entries(folder / "faq.tsv")),
        to=str(folder / "models" / "faq"),
    )


def test_refusals_leave_nothing(
    published: Index,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("tfpipe.index.MOST_ENTRIES", 3)

    def refused(run: str, *options: str, to: str = "new/faq") -> str:
        given = ["--data", str(write_entries(tmp_path / "faq.tsv")), "--to", str(tmp_path / to)]
        assert main([str(exported(run).folder), *given, *options]) == 2
        return capsys.readouterr().err

    error = refused("embed", "--lexical-only")
    assert "more than 3 entries is searched by its vectors alone" in error
    assert f"{len(NAMES)} in" in error and "leave out --lexical-only" in error
    assert "leave out --weight" in refused("embed", "--weight", "0.5")
    assert "its task is classify" in refused("classify")
    questions = str(write_questions(tmp_path / "questions.tsv"))
    gate = ("--tune", questions, "--require", "dense.recall_at_1>1")
    assert "dense.recall_at_1 is" in refused("embed", *gate)
    assert not (tmp_path / "new").exists()
    # An index in the graph has other outputs than an encoder.
    graph = tmp_path / "models"
    shutil.copytree(Path(published.folder).parent, graph / "faq")
    monkeypatch.undo()
    assert "its task is embed" in refused("embed", to="models/faq")
