"""A version must not silently change what its columns mean."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import tensorflow as tf

from tests.serving_models import save_classifier, save_half_plus_two
from tfpipe.errors import UserError
from tfpipe.export import Export
from tfpipe.exporting.info import read_info
from tfpipe.exporting.local_versions import LocalVersions
from tfpipe.exporting.published_versions import refuse_new_labels
from tfpipe.run_folder import Run

LABELS = ["card", "refund", "weather"]


def refused(base: Path, labels: list[str]) -> str:
    with pytest.raises(UserError) as caught:
        refuse_new_labels(LocalVersions(base), labels)
    assert "--allow-new-labels" in caught.value.fix
    return f"{caught.value.wrong}: {caught.value.found}"


def test_the_first_version_may_have_any(tmp_path: Path) -> None:
    refuse_new_labels(LocalVersions(tmp_path / "none"), LABELS)
    (tmp_path / "latest").mkdir()
    refuse_new_labels(LocalVersions(tmp_path), LABELS)


def test_the_same_labels_pass_and_others_are_told(published: tuple[Run, Export]) -> None:
    base = published[1].folder.parent
    refuse_new_labels(LocalVersions(base), LABELS)
    assert "column 1 was 'refund' and is 'weather'" in refused(base, [*LABELS[:1], *LABELS[:0:-1]])
    reported = refused(base, ["card", "money", "weather", "x"])
    assert "3 labels before, 4 now; new 'money', 'x'; gone 'refund'" in reported
    assert str(published[1].folder) in reported


def test_the_highest_version_counts(tmp_path: Path) -> None:
    for number, labels in ((9, ["a", "b"]), (10, ["a", "c"])):
        folder = tmp_path / str(number) / "assets"
        folder.mkdir(parents=True)
        (folder / "info.json").write_text(json.dumps({"labels": labels}))
    refuse_new_labels(LocalVersions(tmp_path), ["a", "c"])
    assert "gone 'c'" in refused(tmp_path, ["a", "b"])


def test_an_info_signature_with_a_constant_is_read_without_weights(tmp_path: Path) -> None:
    save_classifier(tmp_path / "1", {"labels": ["好", "b"]})
    for weights in (tmp_path / "1" / "variables").iterdir():
        weights.unlink()
    assert read_info(tmp_path / "1") == {"labels": ["好", "b"]}
    refuse_new_labels(LocalVersions(tmp_path), ["好", "b"])


def test_a_version_without_label_names_is_refused(tmp_path: Path) -> None:
    save_half_plus_two(tmp_path / "1")
    assert "cannot be read" in refused(tmp_path, LABELS)
    (tmp_path / "2").mkdir()
    assert "cannot be read" in refused(tmp_path, LABELS)
    (tmp_path / "2" / "saved_model.pb").write_bytes(b"rubbish")
    assert "cannot be read" in refused(tmp_path, LABELS)


def test_the_signature_answers_what_the_file_says(published: tuple[Run, Export]) -> None:
    run, done = published
    model = tf.saved_model.load(str(done.folder))
    info = json.loads(model.signatures["info"]()["info"].numpy())
    assert info == read_info(done.folder)
    assert info["labels"] == LABELS and info["metrics"]["dev"] == run.metrics["dev"]
    parity = json.loads((done.folder / "assets.extra" / "parity.json").read_text())
    gate = json.loads((done.folder / "assets.extra" / "gate.json").read_text())
    assert info["parity"] == parity and info["gate"] == gate
    assert gate["required"][0]["requirement"] == "dev.accuracy>0.8"
    assert parity["fresh_process"]["texts"] == 24
    assert parity["tokenizer"]["hostile_strings"] == {"texts": 2000, "mismatches": 0}
    for table in ("fresh_process", "edges", "stock_bert"):
        assert parity[table]["texts"] and not parity[table]["other_labels"]
