"""The report's words: the same sentences with the same places in every language."""

from __future__ import annotations

import re
import string
from pathlib import Path

import pytest

from tfpipe.config import TrainConfig
from tfpipe.report import summary
from tfpipe.report.i18n import LANGUAGES, WORDS, Wording
from tfpipe.tasks import TASKS

REPORT = Path(summary.__file__).parent


def places(words: str | tuple[str, str]) -> set[str]:
    both = (words,) if isinstance(words, str) else words
    return {name for one in both for _, name, _, _ in string.Formatter().parse(one) if name}


def test_languages_are_those_of_the_setting():
    field = next(f for f in TrainConfig.__dataclass_fields__.values() if f.name == "language")
    assert tuple(field.metadata["choices"]) == LANGUAGES


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_sentence_is_there_with_the_same_places(language):
    assert WORDS[language].keys() == WORDS["en"].keys()
    for name, words in WORDS["en"].items():
        assert places(WORDS[language][name]) == places(words), name


def test_every_sentence_asked_for_is_there():
    sources = [REPORT / name for name in ("page.html", "page.py", "summary.py", "curves.py")]
    sources.append(REPORT / "confusion_svg.py")
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    asked = set(re.findall(r'\b(?:t|wording)\(\s*"([a-z_.]+)"\s*[,)]', text))
    assert len(asked) > 80 and asked <= WORDS["en"].keys()


@pytest.mark.parametrize("task", TASKS)
def test_every_task_has_its_words_in_every_language(task):
    words, metrics = TASKS[task].words, TASKS[task].metrics
    assert {f"figure.{name}" for name in metrics} <= WORDS["en"].keys()
    assert {"kicker", "headline"} <= words["en"].keys()
    assert places(words["en"]["headline"]) <= {"labels", *metrics}
    assert words.keys() == WORDS.keys()
    for language, of_language in words.items():
        assert of_language.keys() == words["en"].keys(), language
        for name, sentence in of_language.items():
            assert places(sentence) == places(words["en"][name]), name
            # A sentence replaces the one of all tasks; what has no such one is a variant.
            assert name in WORDS["en"] or name.startswith(("headline_", "meaning.")), name


def test_chinese_is_chinese():
    latin_only = [
        name
        for name, words in WORDS["zh"].items()
        if isinstance(words, str) and re.search(r"[a-z]{4}", words) and words.isascii()
    ]
    names = {"fact.python", "fact.tensorflow", "fact.numpy"}
    assert {name for name in latin_only if not WORDS["zh"][name].count("{")} <= names


def test_one_and_many():
    wording = Wording("en")
    assert wording("mistakes.brief", count=1) == "1 wrong answer in all"
    assert wording("mistakes.brief", count=1200) == "1,200 wrong answers in all"
    assert Wording("zh")("mistakes.brief", count=1) == "共 1 个错误回答"


def test_users_texts_in_a_sentence_keep_their_direction_to_themselves():
    quoted = Wording("en").quote("\u202eabc\u2069 {x}\n", 20)
    assert quoted == "“\u2068abc {x}\u2069”"


def test_unknown_names_are_readable_and_missing_values_are_faults():
    wording = Wording("zh")
    assert wording.term("figure", "brand_new_f1") == "brand new F1"
    assert wording.meaning("brand_new", "classify") == ""
    assert wording.meaning("f1", "qa") != wording.meaning("f1", "tag")
    assert wording.of("tag", "section.classes") != wording.of("qa", "section.classes")
    with pytest.raises(KeyError):
        wording("mistakes.brief")
    with pytest.raises(KeyError):
        wording("no such sentence")
