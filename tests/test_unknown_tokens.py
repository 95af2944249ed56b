"""Tokens that the vocabulary lacks: counted by hand, noted above 2 %, warned of above 10 %."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from tests.support.labelled import make_examples
from tests.support.multilingual import write_tokenizer
from tests.support.runs import tiny_config
from tfpipe.config import TrainConfig
from tfpipe.data.encoded import EncodedDataset
from tfpipe.data.tokenizer import Tokenizer, WordPiece
from tfpipe.data.tokenizer.fast_tokenizer import FastTokenizer
from tfpipe.data.unknown_tokens import (
    ScriptTokens,
    UnknownTokens,
    count_unknown,
    sum_by_script,
)
from tfpipe.model import presets, pretrained
from tfpipe.report import run_outputs
from tfpipe.report.page import render_page, write_page
from tfpipe.report.run_report import Report
from tfpipe.tasks import TASKS
from tfpipe.train import train

# 我 and 的 are there, 卡 and 里 are not.
WORDS = [*presets.SPECIAL_TOKENS, "where", "is", "it", "?", "我", "的", "##s"]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer(WordPiece(WORDS))


def label(
    tokenizer: Tokenizer,
    task: str,
    texts: list[str],
    pairs: list[str] | None = None,
    labels: list[str] | None = None,
    max_length: int = 64,
    **settings: object,
) -> EncodedDataset:
    labels = labels or ["a", "b"] * (len(texts) // 2)
    rules = TASKS[task].task_class
    examples = make_examples(texts, labels, pairs)
    found = rules.from_labels(rules.parse_labels(examples), TrainConfig(task=task, **settings))
    return found.label(examples, tokenizer, max_length)


def counts(labelled: EncodedDataset, tokenizer: Tokenizer) -> list[tuple[str, int, int, int]]:
    found = count_unknown({"train": labelled}, tokenizer).parts["train"]
    return [(one.script, one.texts, one.tokens, one.unknown) for one in found]


def unknown(share: float, texts: int = 100, model: str | None = "starter") -> UnknownTokens:
    """Chinese texts with 10,000 tokens."""
    scripts = [ScriptTokens("han", texts, 10_000, round(10_000 * share))]
    return UnknownTokens({"train": scripts}, model)


# ---- counted --------------------------------------------------------------------------------


def test_single_texts(tokenizer: Tokenizer) -> None:
    texts = ["where is it?", "我的卡", "[UNK] its", "卡里 where", "我的", "? 😀"]
    # [ , UNK and ] are three words that the vocabulary lacks; its is it and ##s.
    assert counts(label(tokenizer, "classify", texts), tokenizer) == [
        ("latin", 3, 12, 5),
        ("han", 2, 5, 1),
        ("none", 1, 2, 1),
    ]


def test_what_is_cut_off_is_not_counted(tokenizer: Tokenizer) -> None:
    texts = ["我的卡卡卡卡", "where is it it it it"]
    assert counts(label(tokenizer, "classify", texts, max_length=5), tokenizer) == [
        ("han", 1, 3, 1),
        ("latin", 1, 3, 0),
    ]


def test_windows_of_long_texts(tokenizer: Tokenizer) -> None:
    texts = ["我的卡卡卡卡", "where is it it it it"]
    labelled = label(tokenizer, "classify", texts, max_length=5, long_text="windows")
    assert len(labelled.encoded) > 2
    expected = []
    for row, script in enumerate(("han", "latin")):
        tokens = unknown = 0
        for one in np.flatnonzero(labelled.example_of == row):
            ids = labelled.encoded.ids[slice(*labelled.encoded.splits[one : one + 2])]
            tokens += len(ids) - 2
            unknown += int((ids == tokenizer.unk_id).sum())
        expected.append((script, 1, tokens, unknown))
    assert expected[0][3] >= 4 and expected[1][3] == 0
    assert counts(labelled, tokenizer) == expected


def test_pairs(tokenizer: Tokenizer) -> None:
    texts, pairs = ["where is it", "is"], ["卡", "我的卡里"]
    assert counts(label(tokenizer, "classify", texts, pairs), tokenizer) == [
        ("han", 1, 5, 2),
        ("latin", 1, 4, 1),
    ]


def test_every_other_task(tokenizer: Tokenizer) -> None:
    texts = ["where is 卡", "我的卡里"]
    expected = [("han", 1, 4, 2), ("latin", 1, 3, 1)]
    for task, labels in (
        ("multilabel", ["a|b", "b"]),
        ("regress", ["1.0", "2.5"]),
        ("tag", ['[[0, 5, "x"]]', '[[0, 1, "x"]]']),
    ):
        assert counts(label(tokenizer, task, texts, None, labels), tokenizer) == expected
    contexts = ["it is it is it", "我的卡里"]
    labelled = label(tokenizer, "qa", texts, contexts, ['[[0, "it"]]', '[[0, "我"]]'])
    assert counts(labelled, tokenizer) == [("han", 1, 8, 4), ("latin", 1, 8, 1)]
    # The question is read with every window of its context.
    short = label(tokenizer, "qa", texts, contexts, ['[[0, "it"]]', '[[0, "我"]]'], max_length=9)
    assert len(short.encoded) > 2
    assert sum(n for _, _, n, _ in counts(short, tokenizer)) == len(short.encoded.ids) - 3 * len(
        short.encoded
    )


TEXTS = [
    *("Where is my card?", "我的卡在哪里，谢谢", "где моя карта?", "카드가 어디에 있나요"),
    *("カードはどこ", "بطاقتي أين", "मेरा कार्ड", "บัตรของฉัน", "e\u0301te\u0301 À la carte"),
    *("👩\u200d💻 ok 😀", "", "[SEP] [UNK] [CLS]", "x" * 150, "ｆｕｌｌ　ｗｉｄｔｈ"),
    *("a\u00a0b\u3000c\td", "İstanbul ß ǅ", "my card 我的 " * 20),
]


@pytest.fixture(scope="module", params=["BERT", "XLM-R"])
def half_learnt(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Tokenizer, FastTokenizer]:
    folder = tmp_path_factory.mktemp("tokenizer")
    if request.param == "XLM-R":
        write_tokenizer(folder, TEXTS[::2])
    else:
        words = [*presets.learn_vocabulary(TEXTS[::2]), "car", "##d", "?"]
        Tokenizer(WordPiece(words)).save(folder)
    return Tokenizer.from_folder(folder), FastTokenizer.from_folder(folder)


@pytest.mark.parametrize("max_length", [8, pytest.param(128, marks=pytest.mark.slow)])
@pytest.mark.parametrize("task", ["classify", "regress", "tag", "qa"])
def test_what_is_counted_without_tensorflow_is_what_training_counts(
    task: str, max_length: int, half_learnt: tuple[Tokenizer, FastTokenizer]
) -> None:
    tokenizer, fast = half_learnt
    spans = ["[]" if len(text) < 4 else '[[1, 4, "x"]]' for text in TEXTS]
    answers = [json.dumps([[1, text[1:7]]] if text[1:7].strip() else []) for text in TEXTS]
    numbers = [str(n) for n in range(len(TEXTS))]
    labels = {"regress": numbers, "tag": spans, "qa": answers}.get(task, ["a", *"b" * 16])
    texts = TEXTS[::-1] if task == "qa" else TEXTS
    pairs = {"classify": TEXTS[::-1], "qa": TEXTS}.get(task)
    labelled = label(tokenizer, task, texts, pairs, labels, max_length)
    examples, spec = labelled.examples, TASKS[task]

    found = spec.rules.count_tokens(examples, fast, max_length)
    assert found.full_lengths.tolist() == labelled.full_lengths.tolist()
    assert found.inputs == len(labelled.encoded)
    expected = count_unknown({"train": labelled}, tokenizer).parts["train"]
    assert sum_by_script(examples, found.tokens, found.unknown) == expected
    lost = spec.rules.find_lost(examples, fast, max_length)
    trained = spec.task_class.from_labels(spec.rules.parse_labels(examples))
    assert [*lost] == [*trained.notes(labelled)]
    assert lost if task == "tag" or (task, max_length) == ("qa", 8) else not lost


def test_a_learnt_vocabulary_lacks_nothing() -> None:
    texts = ["我的卡在哪里", "where is it", "где карта?", "카드 1"]
    tokenizer = Tokenizer(WordPiece(presets.learn_vocabulary(texts)))
    found = count_unknown({"train": label(tokenizer, "classify", texts)}, tokenizer, "tiny")
    assert found.share("train") == 0 and found.note is None and found.warning is None
    assert len(found.parts["train"]) == 4


# ---- what is said ---------------------------------------------------------------------------


def test_noted_above_2_percent_and_warned_of_above_10() -> None:
    for share, noted, warned in (
        (0.0, False, False),
        (0.02, False, False),
        (0.0201, True, False),
        (0.1, True, False),
        (0.1001, False, True),
        (1.0, False, True),
    ):
        found = unknown(share)
        assert (found.note is not None, found.warning is not None) == (noted, warned), share
    assert unknown(0.05).note == (
        "the vocabulary of --model starter does not cover all of the texts: unknown tokens"
        " are 5.0% of train (han)"
    )


def test_advice() -> None:
    assert unknown(0.5).warning == (
        "the vocabulary of --model starter does not cover these texts: unknown tokens are"
        " 50.0% of train (han); give --model multilingual; or give --model tiny, whose vocabulary"
        " is learnt from these texts, or --model with the folder or hub id of a Chinese or"
        " multilingual BERT, such as google-bert/bert-base-chinese"
    )
    assert str(unknown(0.5, model="multilingual").warning).endswith(
        "50.0% of train (han); give --model tiny, whose vocabulary is learnt from these texts"
    )
    # What tiny has learnt from is not advised once more.
    assert "--model tiny, whose" not in str(unknown(0.5, model="tiny").warning)
    assert "train on more texts" in str(unknown(0.5, model="tiny").warning)
    thai = UnknownTokens({"train": [ScriptTokens("thai", 9, 90, 80)]}, "starter")
    assert "of a multilingual BERT" in str(thai.warning)


def test_a_script_is_judged_by_itself_where_it_has_enough_texts() -> None:
    def mixed(chinese: int, lacking: int) -> UnknownTokens:
        scripts = [
            ScriptTokens("latin", 500, 10_000, 0),
            ScriptTokens("han", chinese, 10 * chinese, lacking),
        ]
        return UnknownTokens({"train": [scripts[0]], "dev": scripts})

    # 60 of 10,100 tokens, and yet the Chinese texts cannot be read.
    assert mixed(10, 60).warning and mixed(10, 60).scripts_above(0.1) == ["han"]
    assert str(mixed(10, 60)) == "0.0% of train (latin), 0.6% of dev (latin 0.0%, han 60.0%)"
    assert mixed(10, 3).note and not mixed(10, 3).warning
    assert mixed(10, 2).note is None
    # Four texts of 504 are few, but hold all that is unknown.
    assert mixed(4, 20).scripts_above(0.1) == ["han"]


def test_few_texts_of_a_script_say_nothing_alone() -> None:
    latin = ScriptTokens("latin", 996, 100_000, 30)
    found = UnknownTokens({"train": [latin, ScriptTokens("han", 4, 40, 20)]})
    assert found.note is None and found.warning is None


def test_json_and_back() -> None:
    parts = {
        "train": [ScriptTokens("han", 3, 40, 10), ScriptTokens("none", 1, 0, 0)],
        "dev": [ScriptTokens("latin", 2, 8, 0)],
    }
    found = UnknownTokens(parts, "starter")
    content = json.loads(json.dumps(found.as_json()))
    assert content["train"]["share"] == 0.25
    assert content["train"]["by_script"]["han"] == {"texts": 3, "tokens": 40, "unknown": 10}
    assert UnknownTokens.from_json(content, "starter") == found
    assert str(found) == "25.0% of train (han 25.0%, no letters 0.0%), 0.0% of dev (latin)"


# ---- a run ----------------------------------------------------------------------------------


def test_a_run_on_texts_that_the_vocabulary_does_not_cover(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = {}

    def write_both(path: Path, report: Report) -> None:
        for language in ("en", "zh"):
            pages[language] = render_page(dataclasses.replace(report, language=language))
        write_page(path, report)

    monkeypatch.setattr(run_outputs, "write_page", write_both)
    folder = tmp_path / "model"
    latin = ["where is my card", "I want a refund", "rain again?"]
    pretrained.save(presets.make_tiny(["a", "b"], latin), folder)
    data = tmp_path / "mixed.tsv"
    rows = [(latin[i % 3] if i % 2 else "我的卡在哪里", "ab"[i % 3 == 0]) for i in range(60)]
    lines = [f"{text} {i}\t{name}" for i, (text, name) in enumerate(rows)]
    data.write_text("text\tlabel\n" + "\n".join(lines) + "\n", encoding="utf-8")
    config = tiny_config(tmp_path, train=str(data), model=str(folder), epochs=1, language="zh")
    run = train(config)

    log = capsys.readouterr().err
    assert "data: unknown tokens: " in log and "han " in log
    assert f"data: warning: the vocabulary of --model {folder} does not cover these texts" in log
    kept = run.metrics["data"]["unknown_tokens"]
    texts = {name: part["by_script"]["han"]["texts"] for name, part in kept.items()}
    assert texts["train"] + texts["dev"] == 30
    assert kept["train"]["by_script"]["han"]["unknown"] >= 6 * texts["train"]

    card = (run.model / "README.md").read_text(encoding="utf-8")
    assert f"- Unknown tokens: {UnknownTokens.from_json(kept)}.\n" in card
    assert "does not cover texts of these scripts: han" in card and str(folder) not in card
    assert (run.folder / "report.html").read_text(encoding="utf-8") == pages["zh"]
    shown = {
        "en": ["does not cover these texts", "Chinese or multilingual BERT", "By script", "Latin"],
        "zh": ["模型词表不能覆盖这些文本", "中文或多语言 BERT", "按文字", "拉丁字母"],
    }
    for language, page in pages.items():
        assert not [sentence for sentence in shown[language] if sentence not in page]
        assert f"{kept['dev']['share']:.1%}" in page
