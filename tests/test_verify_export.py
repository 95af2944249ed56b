"""What is proved before a publish, and that an export which differs is found out."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from transformers import BertTokenizerFast

from tfpipe.data.tokenizer import Tokenizer, WordPiece
from tfpipe.export import Export
from tfpipe.exporting.answer_parity import TOLERANCE, compare_answers, compare_batches
from tfpipe.exporting.clean_process import Answers
from tfpipe.exporting.edge_batches import BATCH_SIZES, answer_in_process, make_edge_batches
from tfpipe.exporting.reference_parity import compare_graphs, compare_tokenizers
from tfpipe.exporting.verify_export import verify_export
from tfpipe.model import pretrained
from tfpipe.run_folder import Run
from tfpipe.tasks import TASKS


def answers(labels: list[str], scores: list[list[float]]) -> Answers:
    found = np.array(scores, np.float32).reshape(len(labels), 2)
    return {"label": np.array(labels, np.str_), "scores": found}


def test_probes_have_the_lengths_and_batches_at_the_edges() -> None:
    batches = make_edge_batches(["text"], max_length=24)
    sizes = [len(batch["text"]) for batch in batches]
    assert sizes[:4] == list(BATCH_SIZES) == [0, 1, 2, 33]
    texts = {text for batch in batches for text in batch["text"]}
    assert {len(text.split()) for text in texts} >= {0, 1, 2, 17, 22, 24, 25}
    assert b"" in texts and max(len(text) for text in texts) >= 10_000
    damaged = [text for text in texts if text.decode("utf-8", "ignore").encode() != text]
    assert len(damaged) >= 4
    assert texts <= {batch["text"][0] for batch in batches if len(batch["text"]) == 1}
    pairs = make_edge_batches(["text", "text_pair"], max_length=24)
    assert all(len(batch["text"]) == len(batch["text_pair"]) for batch in pairs)
    assert any(batch["text"] != batch["text_pair"] for batch in pairs)


def test_a_difference_is_seen() -> None:
    here = answers(["a", "b"], [[0.9, 0.1], [0.2, 0.8]])
    assert compare_answers(here, here).holds
    near = answers(["a", "b"], [[0.9, 0.1], [0.2 + TOLERANCE * 2, 0.8]])
    assert not compare_answers(near, here).holds
    assert compare_answers(answers(["a", "a"], [[0.9, 0.1], [0.2, 0.8]]), here).other_labels == 1
    nothing = answers([], [])
    assert compare_batches([here, nothing], [here, nothing]).holds
    with pytest.raises(RuntimeError, match=r"of shape .*\(0, 2\)"):
        compare_batches([here, nothing], [here, here])
    nan = answers(["a", "b"], [[0.9, 0.1], [float("nan"), 0.8]])
    assert not compare_answers(nan, here).holds


def test_an_export_of_other_weights_is_refused(
    published: tuple[Run, Export], capsys: pytest.CaptureFixture
) -> None:
    run, done = published
    model = pretrained.load(run.model)
    task, dev = TASKS["classify"].task_class(model.label_names), run.read_dev()
    bias = model.bert.weights[-1]
    assert bias.shape == (3,)
    bias.assign_add([0.0, 1e-3, 0.0])
    with pytest.raises(RuntimeError, match="nothing was published"):
        verify_export(done.folder, run, model, task, dev)
    rows = {line.split(":")[0]: line for line in capsys.readouterr().err.splitlines()}
    assert not rows["fresh process"].endswith("difference 0.0e+00")
    # The two graphs over the changed weights still agree.
    assert compare_graphs(model, task, dev, 16).holds


def test_answers_do_not_depend_on_the_batch(published: tuple[Run, Export]) -> None:
    model = pretrained.load(published[0].model)
    task = TASKS["classify"].task_class(model.label_names)
    batches = make_edge_batches(["text", "text_pair"], max_length=16)
    together = answer_in_process(model, task, 16, batches)
    assert [len(batch["label"]) for batch in together] == [len(batch["text"]) for batch in batches]
    alone = answer_in_process(model, task, 16, batches[2:3])
    assert compare_answers(together[2], alone[0]).holds


def test_a_tokenizer_of_other_rules_is_found_out(published: tuple[Run, Export]) -> None:
    run, done = published
    ours = Tokenizer.from_folder(run.model)
    # As verify_export has compared it.
    stored = (Path(done.folder) / "assets.extra" / "parity.json").read_text(encoding="utf-8")
    equal = json.loads(stored)["tokenizer"]
    assert {row["mismatches"] for row in equal.values()} == {0}
    assert equal["own_texts"]["texts"] == 24
    cased = Tokenizer(WordPiece(ours.vocabulary, lower_case=False))
    other = compare_tokenizers(cased, run.model, run.read_dev(), 16)
    assert other["hostile_strings"]["mismatches"] > 100
    assert other["own_texts"]["mismatches"] > 0
    assert BertTokenizerFast.from_pretrained(run.model).do_lower_case
