"""benchmarks/inference.py: batches as they arrive, tables as counted, and models that agree."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import inference
from benchmarks.inference import OURS, REFERENCE, report
from benchmarks.peers.answering import softmax, time_batches, write_answers
from benchmarks.products import list_products


def test_batches_go_round_in_the_order_that_texts_arrive() -> None:
    seen: list[list[str]] = []

    def classify(texts: list[str]) -> tuple[list[str], np.ndarray]:
        seen.append(texts)
        return texts, np.zeros((len(texts), 1), np.float32)

    taken = time_batches(classify, ["a", "b", "c"], 2, 1, 3)
    assert seen == [["b", "c"], ["a", "b"], ["c", "a"]]
    assert len(taken) == 3 and min(taken) >= 0


def test_all_texts_are_answered_once(tmp_path: Path) -> None:
    texts = [str(number) for number in range(70)]

    def classify(batch: list[str]) -> tuple[list[str], np.ndarray]:
        return batch, np.array([[float(text)] for text in batch], np.float32)

    assert write_answers(classify, texts, tmp_path / "answers.npz") == 70
    with np.load(tmp_path / "answers.npz") as found:
        assert found["labels"].tolist() == texts
        assert found["scores"][:, 0].tolist() == list(range(70))


def test_softmax_of_large_logits() -> None:
    found = softmax(np.array([[1000.0, 1000.0], [0.0, np.log(3.0)]], np.float32))
    np.testing.assert_allclose(found, [[0.5, 0.5], [0.25, 0.75]], rtol=1e-6)


def test_rates_and_ratios(capsys: pytest.CaptureFixture[str]) -> None:
    rounds = [
        {(8, OURS): [0.01, 0.03], (8, "peer"): [0.02, 0.04]},
        {(8, OURS): [0.02, 0.02], (8, "peer"): [0.06, 0.06]},
    ]
    report(rounds, [OURS, "peer"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "batch 8 (2 batches a round)"
    assert lines[3].split()[:5] == ["400", "20.00", "29.70", "1.00x", "1.00x"]
    # 16 texts in 0.06 and in 0.12 seconds; ratios of 1.5 and 3.
    assert lines[4].split()[:5] == ["200", "50.00", "60.00", "2.25x", "2.25x"]


def test_products_are_those_of_the_model(published) -> None:
    from tfpipe.model import pretrained

    bert = pretrained.load(published[0].model).bert
    kernels = [w for w in bert.bert.encoder.weights if "kernel" in w.name]
    # With as many texts as tokens the last layer leaves nothing out.
    products = list_products(bert.config, 5, 5)
    assert sum(i * o for _, i, o in products) == sum(int(np.prod(k.shape)) for k in kernels)
    assert {rows for rows, _, _ in list_products(bert.config, 2, 30)} == {2, 30}


@pytest.mark.slow
def test_every_float32_side_answers_alike(published, tmp_path: Path) -> None:
    run = published[0]
    texts = run.read_dev().texts
    data = tmp_path / "texts.tsv"
    data.write_text("text\n" + "".join(f"{' '.join(t.split())}\n" for t in texts), encoding="utf-8")
    command = [sys.executable, inference.__file__, str(run.folder), str(data)]
    command += ["--rounds", "1", "--seconds", "0.05", "--sizes", "1", "4"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "batch 1 (" in done.stdout and "batch 4 (" in done.stdout
    answers = done.stdout.split(f"answers to {len(texts)} texts beside {REFERENCE}")[1]
    found = {
        name: (float(equal), float(difference))
        for equal, difference, name in re.findall(r"([\d.]+)% +(\S+)  (.+)", answers)
    }
    assert found[REFERENCE] == (100, 0)
    for name, (equal, difference) in found.items():
        if name.endswith("float32"):
            assert equal == 100 and difference < 1e-4, name
    assert found[OURS][1] < 0.05
