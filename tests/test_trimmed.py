"""A trimmed model has the same logits, from fewer rows of the embedding."""

from __future__ import annotations

import json
import logging
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from tests.support.data import write_messages
from tests.support.e5_files import PIECES as SMALL
from tests.support.e5_files import E5Parts, install
from tests.support.multilingual import multilingual_folder
from tfpipe.config import TrainConfig, build
from tfpipe.errors import Interrupted, UserError
from tfpipe.evaluate import evaluate_on
from tfpipe.model import presets, pretrained
from tfpipe.model.text_model import TextModel
from tfpipe.model.trimmed import trim
from tfpipe.run_folder import open_run
from tfpipe.train import train

RUSSIAN = ["привет, мир", "привет, карта"]
PIECES = [*SMALL[:-1], "▁привет", "▁карта", SMALL[-1]]
ENGLISH = ["Where is my card?", "The money was taken twice.", "cafe 12.50 (now)"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Untrained models of both kinds of tokenizer, whose vocabularies have Russian, too."""
    tiny = presets.make_tiny(["a"], [*ENGLISH, *RUSSIAN * 2])
    found = {"WordPiece": tmp_path_factory.mktemp("wordpiece"), "Unigram": multilingual_folder()}
    pretrained.save(tiny, found["WordPiece"])
    return found


def hidden_states(model: TextModel) -> np.ndarray:
    assert model.encoder is not None
    return model.encoder.tokens(model.tokenizer(ENGLISH)).numpy()


@pytest.mark.parametrize("kind", ["WordPiece", "Unigram"])
def test_the_same_logits(folders: dict[str, Path], kind: str, tmp_path: Path) -> None:
    whole = pretrained.load(folders[kind], ["a"])
    trimmed = pretrained.load(folders[kind], ["a"], None, partial(trim, texts=ENGLISH))
    tokens, rows = len(trimmed.tokenizer.vocabulary), trimmed.config.vocab_size
    before = whole.config.vocab_size
    assert tokens == rows < before
    assert f"trimmed to latin: {before:,} -> {rows:,} rows of the embedding" in trimmed.origin
    # The head is new.
    states = [hidden_states(model) for model in (whole, trimmed)]
    np.testing.assert_array_equal(*states)

    # ---- and again from the folder
    pretrained.save(trimmed, tmp_path)
    again = pretrained.load(tmp_path)
    np.testing.assert_array_equal(hidden_states(again), states[0])
    assert json.loads((tmp_path / "config.json").read_text())["vocab_size"] == rows


def test_a_run_is_resumed_and_evaluated_with_the_trimmed_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    install(tmp_path / "site", monkeypatch, E5Parts(pieces=PIECES).content())
    data, folder = write_messages(tmp_path / "a.tsv", rows=60), tmp_path / "run"
    config = TrainConfig(train=str(data), output=str(folder), max_length=16, epochs=2, stop_after=1)
    with caplog.at_level(logging.INFO, "tfpipe"), pytest.raises(Interrupted):
        train(config)
    note = f"{48} -> {len(PIECES) - 2} rows of the embedding"
    assert sum(note in record.getMessage() for record in caplog.records) == 1
    assert sum("M parameters" in record.getMessage() for record in caplog.records) == 1
    train(TrainConfig(output=str(folder), resume=True))
    run = open_run(str(folder))
    assert (run.config.model, run.config.trim_vocabulary) == ("multilingual", True)
    sizes = json.loads((run.model / "config.json").read_text(encoding="utf-8"))
    assert sizes["vocab_size"] == len(PIECES) - 2
    found = evaluate_on(run, run.read_dev(), 8)
    assert found.metrics["accuracy"] == run.metrics["dev"]["accuracy"]


def test_a_learnt_vocabulary_is_not_trimmed() -> None:
    with pytest.raises(UserError, match="nothing to trim"):
        build(TrainConfig, {"model": "tiny", "trim_vocabulary": True})
    assert not build(TrainConfig, {"model": "tiny", "trim_vocabulary": False}).trim_vocabulary
