"""Changes of texts: what each edits, that equal seeds give equal texts, and labels that move."""

from __future__ import annotations

import random
import unicodedata
from random import Random

import pytest

from tfpipe.config.augment import BACK, NAMES, SYNONYMS
from tfpipe.data.changes.changed_examples import change_examples
from tfpipe.data.changes.changes import CHANGES
from tfpipe.data.changes.chinese import HOMOPHONES, SCRIPTS, SIMILAR
from tfpipe.data.changes.edits import Edit, apply, move
from tfpipe.data.changes.latin import HOMOGLYPHS, KEYS
from tfpipe.data.examples import Columns, Examples
from tfpipe.tasks import TASKS

ENGLISH = "Hello, my new card hasn't arrived. Where is it?"
CHINESE = "为什么我的转账还没有到账？"


def change(name: str, text: str, share: float = 1.0, seed: str = "1") -> str:
    return apply(text, CHANGES[name].edits(text, share, Random(seed)))


def test_the_names_are_those_of_the_configuration() -> None:
    assert (*CHANGES, SYNONYMS, BACK) == NAMES


@pytest.mark.parametrize("name", CHANGES)
def test_equal_seeds_give_equal_texts(name: str) -> None:
    text = f"{ENGLISH} {CHINESE}"
    assert change(name, text, 0.5) == change(name, text, 0.5)
    assert len({change(name, text, 0.5, str(seed)) for seed in range(20)}) > 1
    assert change(name, "") == "" or name in ("punctuation", "emoji")
    once = CHANGES[name].edits(text, 1e-9, Random("1"), least=1)
    assert len(once) == 1 and apply(text, once) != text


def test_what_each_change_does() -> None:
    assert change("typos", "card") in {
        "card"[:at] + key + "card"[at + 1 :] for at in range(4) for key in KEYS["card"[at]]
    }
    assert change("typos", "CARD").isupper() and "s" in KEYS["a"] and "p" not in KEYS["a"]
    assert change("swap", "card") == "crad" and change("swap", "转账") == "账转"
    assert change("drop", "card") in ("crd", "cad") and change("drop", "转账") == "转"
    assert change("case", "card") in ("CARD", "Card")
    assert change("spacing", ENGLISH).replace(" ", "") == ENGLISH.replace(" ", "")
    assert change("punctuation", "Hello, you.")[:9] == "Hello you"
    assert change("width", "A1!") == "Ａ１！" and change("width", "Ａ１！") == "A1!"
    assert change("emoji", ENGLISH).startswith("Hello, my new card hasn't arrived. ")
    invisible = change("invisible", ENGLISH)
    assert [c for c in invisible if unicodedata.category(c) != "Cf"] == [*ENGLISH]
    assert change("homoglyphs", "ace") == "асе" != "ace"
    assert change("homophones", "账") in HOMOPHONES["账"] and change("shapes", "未") == "末"
    assert change("scripts", CHINESE) == "為什么我的轉賬還沒有到賬？"
    for table in (HOMOPHONES, SIMILAR, SCRIPTS, HOMOGLYPHS, KEYS):
        assert all(others and key not in others for key, others in table.items())


def test_places_move_with_the_edits() -> None:
    chance = random.Random(1)
    for _ in range(500):
        # Letters that are all different: what is left of a span is known by its letters.
        text = "".join(map(chr, range(0x4E00, 0x4E00 + chance.randint(1, 30))))
        edits, at = [], 0
        while at < len(text):
            start = at + chance.randint(0, 4)
            end = min(len(text), start + chance.randint(0, 2))
            if start <= end and (start, end) != (at, at):
                edits.append(Edit(start, end, "x" * chance.randint(0, 3)))
            at = max(end, start) + 1
        edits = [edit for edit in edits if edit.start <= len(text)]
        after = apply(text, edits)
        start = chance.randrange(len(text))
        end = chance.randint(start + 1, len(text))
        first, last = move(start, end, edits)
        assert 0 <= first <= last <= len(after)
        kept = [c for c in after[first:last] if c != "x"]
        gone = {c for edit in edits for c in text[edit.start : edit.end]}
        assert kept == [c for c in text[start:end] if c not in gone]


def test_entities_and_answers_are_where_their_words_are() -> None:
    text = "Ann Lee lives in Rome"
    people = Examples([text], None, ['[[0, 7, "person"], [17, 21, "place"]]'], "f", Columns())
    rules = TASKS["tag"].rules
    for seed in range(50):
        changed, _ = change_examples(people, CHANGES["spacing"], 0.7, rules, str(seed))
        spans = rules.parse_labels(changed)[0]
        found = [changed.texts[0][span.start : span.end].replace(" ", "") for span in spans]
        assert found == ["AnnLee", "Rome"]
    question = Examples(["Who?"], ["It was Ann Lee."], ['[[7, "Ann Lee"]]'], "f", Columns())
    rules = TASKS["qa"].rules
    changed, differ = change_examples(question, CHANGES["typos"], 1.0, rules, "3")
    (answer,) = rules.parse_labels(changed)[0]
    context = (changed.text_pairs or [""])[0]
    assert context[answer.start :].startswith(answer.text) and answer.text != "Ann Lee"
    assert len(answer.text) == 7 and differ == [True]


def test_a_row_stays_whose_place_would_be_lost() -> None:
    text = "好大"
    examples = Examples([text], None, ['[[1, 2, "size"]]'], "f", Columns())
    changed, differ = change_examples(
        examples, CHANGES["drop"], 1.0, TASKS["tag"].rules, "1", least=1
    )
    assert changed.texts == [text] and differ == [False] and changed.labels == examples.labels
