"""`tfpipe.probe`: changes, attack, expectations; what a run keeps of it, and the gate."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from tests.support.exports import exported
from tests.support.runs import copy_run, finished_run
from tfpipe.config import ExportConfig, ProbeConfig, build
from tfpipe.errors import UserError
from tfpipe.exporting.gate import read_gate
from tfpipe.model import pretrained
from tfpipe.probe import main, probe
from tfpipe.probing.attack import attack
from tfpipe.probing.expectations import is_met
from tfpipe.report.sections import AttackRow
from tfpipe.run_folder import Run
from tfpipe.tasks.task import task_of


def score(rows: Sequence[int], texts: Sequence[str]) -> np.ndarray:
    """A model that counts the word `refund`."""
    gold = np.array([0.4 * text.count("refund") for text in texts])
    return np.stack([gold, np.full(len(texts), 0.3)], axis=1)


def test_the_attack_misspells_the_word_that_counts() -> None:
    texts = ["where is my refund today", "my card", "a refund, or no refund"]
    one, other, twice = attack(score, texts, [0, 1, 0], most_edits=1, seed=1)
    assert one.row == 0 and one.answer == 1 and len(one.edits) == 1
    (edit,) = one.edits
    assert texts[0][12:18] == "refund" and 12 <= edit.start < edit.end <= 18
    # Nothing about a card can be misspelt so that the model takes it for a refund.
    assert other.row == 1 and other.answer is None
    # The word is in the third text twice, so that one edit is not enough.
    assert twice.answer is None
    # A text that is answered wrong is not attacked.
    assert [found.row for found in attack(score, texts, [0, 0, 0], 1, 1)] == [0, 2]
    two = attack(score, texts[2:], [0], most_edits=2, seed=1)[0]
    assert two.answer == 1 and len(two.edits) == 2
    again = attack(score, texts[2:], [0], most_edits=2, seed=1)[0]
    assert again.edits == two.edits
    assert attack(score, texts[2:], [0], 2, 2)[0].edits != two.edits


@pytest.mark.parametrize(
    ("expect", "answers", "met"),
    [
        ("same", ("a", "a"), True),
        ("same", ("a", "b"), False),
        ("differ", ("a", "b"), True),
        ("differ", ("a", "a"), False),
        ("b", ("a", "b"), True),
        ("b", ("b", "a"), False),
    ],
)
def test_expectations(expect: str, answers: tuple[str, str], met: bool) -> None:
    assert is_met(expect, *answers) == met


EXPECTED = """text\tchanged\texpect
my card\tmy card!\tsame
my card\tmy card\tdiffer
my card\trefund my money\trefund
"""


def write_expectations(folder: Path, text: str = EXPECTED) -> str:
    file = folder / "expected.tsv"
    file.write_text(text, encoding="utf-8")
    return str(file)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return copy_run(finished_run("classify"), tmp_path_factory.mktemp("probe") / "run")


def test_a_run_keeps_the_result(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gate = ExportConfig(run=str(run.folder), to="models/x", require="probe.case>=0.9")
    task = task_of("classify", pretrained.load(run.model))
    with pytest.raises(UserError) as raised:
        read_gate(gate, run, task)
    assert raised.value.fix == f"python -m tfpipe.probe {run.folder}"

    command = [str(run.folder), "--expectations", write_expectations(tmp_path), "--json"]
    assert main([*command, "--attack-rows", "20"]) == 0
    found = json.loads(capsys.readouterr().out)
    rows = {row["name"]: row for row in found["changes"]}
    # The tokenizer of tiny takes capitals for small letters, and drops invisible characters.
    assert rows["case"]["kept"] == rows["invisible"]["kept"] == 1.0
    assert rows["case"]["before"] == rows["case"]["after"]
    assert 0 < rows["homophones"]["texts"] < rows["case"]["texts"] == run.metrics["dev"]["examples"]
    assert rows["typos"]["kept"] < 1 and rows["typos"]["after"] < rows["typos"]["before"]
    assert found["attack"]["texts"] == 20
    assert found["attack"]["after"] < found["attack"]["before"]
    failures = found["expectations"]["failures"]
    assert [row["expect"] for row in failures] == ["differ"]
    metrics = found["metrics"]
    assert metrics["expectations"] == pytest.approx(2 / 3)
    assert metrics["attack"] == found["attack"]["after"] and metrics["typos"] < 1

    assert run.probed == metrics and json.loads((run.folder / "probe.json").read_text()) == found
    page = (run.folder / "report.html").read_text(encoding="utf-8")
    assert 'id="robustness"' in page and "neighbouring keys" in page
    assert found["attack"]["examples"][0]["changed"] in page
    assert read_gate(gate, run, task).metrics["probe.case"] == 1.0


def test_the_table_for_people(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = [str(run.folder), "--changes", "case, swap,scripts", "--attack-rows", "10"]
    assert main([*command, "--expectations", write_expectations(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["change", "texts", "before", "after", "answers", "kept"]
    assert [line.split()[0] for line in lines[2:5]] == ["case", "swap", "scripts"]
    assert any(line.startswith("attack, up to 2 misspelt words in 10 texts") for line in lines)
    assert any(line.endswith("2 of 3 met") for line in lines)


def test_an_export_is_probed_as_its_run(run: Run) -> None:
    data = str(run.folder / "dev.jsonl")
    of_run = probe(ProbeConfig(str(run.folder), data=data, changes="swap", attack_rows=10))
    folder = str(exported("classify").folder)
    of_export = probe(ProbeConfig(folder, data=data, changes="swap", attack_rows=10))
    assert of_export.changes == of_run.changes
    assert of_export.attack is not None and of_run.attack is not None
    assert of_export.attack.after == of_run.attack.after
    assert all(isinstance(row, AttackRow) for row in of_export.attack.examples)


@pytest.mark.parametrize("kind", ["pairs", "multilabel", "regress", "tag", "qa"])
def test_other_tasks(kind: str, tmp_path: Path) -> None:
    run = copy_run(finished_run(kind), tmp_path / "run")
    found = probe(ProbeConfig(str(run.folder), changes="case,swap", attack_rows=4))
    case, swap = found.changes
    assert (case.kept is None) == (kind in ("regress", "tag", "qa"))
    assert case.after == pytest.approx(case.before, abs=1e-6) or kind == "qa"
    assert swap.texts and (found.attack is None) == (kind != "pairs")
    assert "swap" in run.probed


def test_changes_that_are_none() -> None:
    with pytest.raises(UserError) as raised:
        build(ProbeConfig, {"run_or_export": "run", "changes": "typo"})
    assert raised.value.wrong == "--changes names what is no change"
    assert raised.value.fix.startswith("did you mean 'typos'?")


def test_what_cannot_be_probed(run: Run, tmp_path: Path) -> None:
    def refused(folder: Path, **values: object) -> UserError:
        with pytest.raises(UserError) as raised:
            probe(ProbeConfig(str(folder), **values))  # type: ignore[arg-type]
        return raised.value

    assert "gives no answers" in refused(finished_run("embed").folder).wrong
    assert "there is no data" in refused(exported("classify").folder).wrong
    file = write_expectations(tmp_path)
    assert (
        "whose answers are labels" in refused(finished_run("tag").folder, expectations=file).wrong
    )
    assert "single texts" in refused(finished_run("pairs").folder, expectations=file).wrong
    unknown = write_expectations(tmp_path, "text\tchanged\texpect\na\tb\tcards\n")
    error = refused(run.folder, expectations=unknown)
    assert "'cards' cannot be expected" in error.wrong and "line 2" in error.found
    assert error.fix.startswith("did you mean 'card'?")
    lacking = write_expectations(tmp_path, "text\texpect\na\tsame\n")
    assert "lacks the column changed" in refused(run.folder, expectations=lacking).wrong
    empty = write_expectations(tmp_path, "text\tchanged\texpect\na\t\tsame\n")
    assert "are empty" in refused(run.folder, expectations=empty).wrong
