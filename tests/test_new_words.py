"""`--add-words`: frequent words of a domain become tokens, for transformers' tokenizer too."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from transformers import BertTokenizerFast, TFBertForMaskedLM

from tests.support.multilingual import multilingual_folder
from tests.support.runs import finished_run
from tfpipe.config import PretrainConfig
from tfpipe.data.tokenizer import Tokenizer
from tfpipe.errors import UserError
from tfpipe.model import pretrained
from tfpipe.model.masked_lm import find_new_words
from tfpipe.pretrain import pretrain

NEW = ["backcard", "rainy", "wantpin", "sunnow"]
TEXTS = [
    "BackCard rainy, wantpin!",
    "backcardrainy",
    "sunnow sunno",
    "退款 Rainyx 卡",
    "sün 12 my card",
    "",
]


@pytest.fixture(scope="module")
def base() -> Path:
    return finished_run("classify").model


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Texts with new words, the first ones the most frequent; numbers and rare words among them."""
    chance, path = random.Random(3), tmp_path_factory.mktemp("texts") / "texts.txt"
    weights = [8, 6, 4, 2, 9, 0.05]
    words = [*NEW, "777", "cardrefund"]
    lines = (
        " ".join(["Where", *chance.choices(words, weights, k=4), f"my {n}"]) for n in range(60)
    )
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def grown(base: Path, texts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("grown") / "model"
    config = PretrainConfig(
        texts=str(texts),
        output=str(output),
        model=str(base),
        add_words=4,
        max_length=24,
        learning_rate=1e-9,
        precision="float32",
        strategy="one_device",
    )
    assert pretrain(config).new_words == NEW
    return output


def test_words_are_tokens_as_in_the_fast_tokenizer(grown: Path, base: Path) -> None:
    made, fast = Tokenizer.from_folder(grown), BertTokenizerFast.from_pretrained(grown)
    before = Tokenizer.from_folder(base)
    assert made.vocabulary == [*before.vocabulary, *NEW]
    assert fast.get_vocab() == {token: place for place, token in enumerate(made.vocabulary)}
    for text in TEXTS:
        ids = made.tokenize([text]).to_list()[0]
        assert ids == fast(text, add_special_tokens=False)["input_ids"], text
    found = [made.vocabulary[i] for i in made.tokenize([TEXTS[0]]).to_list()[0]]
    assert found[:2] == ["backcard", "rainy"] and "wantpin" in found
    assert "cardrefund" not in made.vocabulary and "777" not in made.vocabulary


def test_a_word_begins_as_the_mean_of_its_pieces(grown: Path, base: Path) -> None:
    name = "bert.embeddings.word_embeddings.weight"
    before, after = (load_file(folder / "model.safetensors")[name] for folder in (base, grown))
    tokenizer = Tokenizer.from_folder(base)
    count = len(tokenizer.vocabulary)
    # At this rate the training changed nothing beyond rounding.
    np.testing.assert_allclose(after[:count], before, atol=1e-5)
    for row, pieces in enumerate(tokenizer.tokenize(NEW).to_list()):
        assert len(pieces) > 1
        np.testing.assert_allclose(after[count + row], before[pieces].mean(0), atol=1e-5)


def test_transformers_and_training_open_the_folder(grown: Path) -> None:
    theirs, notes = TFBertForMaskedLM.from_pretrained(grown, output_loading_info=True)
    count = len(Tokenizer.from_folder(grown).vocabulary)
    assert not notes["missing_keys"] and theirs.config.vocab_size == count
    model = pretrained.load(grown, ["a", "b"])
    assert list(model.fresh) == ["head"] and model.config.vocab_size == count


def test_it_grows_again(grown: Path, texts: Path, tmp_path: Path) -> None:
    """Its own output layer gets a value for each of the words, too."""
    shutil.copy(texts, tmp_path / "more.txt")
    with (tmp_path / "more.txt").open("a", encoding="utf-8") as file:
        file.write("\n" + "\n".join(f"moneyback {n}" for n in range(30)))
    config = PretrainConfig(
        texts=str(tmp_path / "more.txt"),
        output=str(tmp_path / "model"),
        model=str(grown),
        add_words=9,
        max_length=24,
        strategy="one_device",
    )
    done = pretrain(config)
    assert done.new_words == ["moneyback"]
    weights = load_file(tmp_path / "model" / "model.safetensors")
    assert len(weights["cls.predictions.bias"]) == len(Tokenizer.from_folder(grown).vocabulary) + 1


def test_unigram_is_refused() -> None:
    with pytest.raises(UserError, match="cannot be added to a Unigram vocabulary"):
        find_new_words(str(multilingual_folder()), TEXTS, 3)
