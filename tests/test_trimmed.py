"""A trimmed model has the same logits, from fewer rows of the embedding."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.support.multilingual import multilingual_folder
from tfpipe.model import presets, pretrained
from tfpipe.model.text_model import TextModel

RUSSIAN = ["привет, мир", "привет, карта"]
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
    trimmed = pretrained.load(folders[kind], ["a"], trim_to=ENGLISH)
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
