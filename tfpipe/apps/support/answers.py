"""The company's answers: a table from intents to titles and texts, by language."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tfpipe.errors import UserError, did_you_mean, raise_all

LANGUAGES = ("en", "zh")
# Unified ideographs and those of extension A, and the marks of Chinese texts.
HAN = re.compile(r"[\u3400-\u9fff\u3001\u3002\uff0c\uff1f\uff01]")
# What the page and the bot say, by language.
WORDS = json.loads((Path(__file__).parent / "static" / "words.json").read_text(encoding="utf-8"))


def language_of(text: str, default: str) -> str:
    """Return `zh` for a text with Chinese letters, `en` for one with Latin ones, else `default`."""
    if HAN.search(text):
        return "zh"
    return "en" if re.search("[A-Za-z]", text) else default


@dataclass(frozen=True)
class Answers:
    """Answers by intent.

    Attributes:
        entries: By intent the fields `title`, `answer` and `action`, those of a language with the
            ending `_en` or `_zh`.
    """

    entries: dict[str, dict[str, str]] = field(default_factory=dict)

    def __contains__(self, intent: object) -> bool:
        return intent in self.entries

    def text(self, intent: str, language: str) -> str:
        """Return the answer, in another language where this one has none."""
        return self._field("answer", intent, language)

    def title(self, intent: str, language: str) -> str:
        """Return the intent's title; without any, its name with spaces."""
        return self._field("title", intent, language) or intent.replace("_", " ").capitalize()

    def hands_over(self, intent: str) -> bool:
        """Whether the intent is for a person."""
        return self.entries[intent].get("action", "") == "handover"

    def phrase(self, name: str, language: str) -> str:
        """Return one of the bot's own sentences."""
        return str(WORDS[language][f"say_{name}"])

    def _field(self, name: str, intent: str, language: str) -> str:
        entry = self.entries[intent]
        names = [f"{name}_{language}", name, *(f"{name}_{one}" for one in LANGUAGES)]
        return next((entry[one] for one in names if entry.get(one)), "")


def read_answers(path: Path) -> Answers:
    """Read a table with a column `intent` and columns `answer` or `answer_en` and `answer_zh`.

    Columns `title`, with the same endings, name the intents on buttons; `action` is empty or
    `handover`. Any table that the package reads will do.

    Raises:
        UserError: All faults of the table at once.
    """
    from tfpipe.data.tabular import read_rows

    header, rows = read_rows(path)
    texts = [name for name in header if name == "answer" or name.startswith("answer_")]
    if "intent" not in header or not texts:
        raise UserError(
            "the table of answers lacks a column",
            f"{path}: {', '.join(header)}",
            "give it the columns intent and answer, or answer_en and answer_zh",
        )
    entries: dict[str, dict[str, str]] = {}
    errors: list[UserError] = []
    for number, row in enumerate(rows, 1):
        values = {name: _text(value) for name, value in zip(header, row, strict=False)}
        if fault := _find_fault(values, texts, entries):
            errors.append(UserError(fault[0], f"{path}, row {number}: {fault[1]}", fault[2]))
        entries.setdefault(values["intent"], values)
    if not entries:
        errors.append(UserError("the table of answers is empty", str(path), "add a row"))
    raise_all(errors)
    return Answers(entries)


def _text(value: Any) -> str:
    return "" if value is None else str(value).strip()


def _find_fault(
    values: dict[str, str], texts: list[str], entries: dict[str, dict[str, str]]
) -> tuple[str, str, str] | None:
    """Return what is wrong with a row, what was found, and what to do; None for a good one."""
    intent = values["intent"]
    if not intent:
        return "a row of answers has no intent", "an empty field", "name its intent"
    if intent in entries:
        return "an intent has two answers", repr(intent), "keep one row of it"
    if not any(values[name] for name in texts):
        return "an entry has no answer", repr(intent), f"fill its {' or '.join(texts)}"
    if values.get("action", "") not in ("", "handover"):
        return "an action is unknown", repr(values["action"]), "leave it empty, or write handover"
    return None


def check_intents(answers: Answers, labels: Iterable[str], outside: Iterable[str]) -> list[str]:
    """Compare the answers with the labels of the intent model.

    Returns:
        Sentences on labels without an answer, and answers without a label.

    Raises:
        UserError: No answer has a label of the model.
    """
    labels = list(labels)
    missing = [label for label in labels if label not in answers and label not in outside]
    unknown = [intent for intent in answers.entries if intent not in labels]
    if answers.entries and len(unknown) == len(answers.entries):
        hint = did_you_mean(unknown[0], labels)
        raise UserError(
            "the answers are for other intents than the model's",
            f"answers: {', '.join(unknown[:3])}; model: {', '.join(labels[:3])}",
            f"{hint}write the model's labels into the column intent",
        )
    notes = []
    if missing:
        notes.append(f"no answer for {len(missing)} intents: {', '.join(missing[:5])}")
    if unknown:
        notes.append(f"the model does not know {len(unknown)} intents: {', '.join(unknown[:5])}")
    return notes
