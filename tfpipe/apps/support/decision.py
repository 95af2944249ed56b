"""What is replied to a text: a decision by scores alone, without any I/O."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tfpipe.apps.support.answers import Answers
from tfpipe.errors import UserError
from tfpipe.io.atomic import write_text

# Names of labels for texts that no other label fits.
OUTSIDE = frozenset(
    ("oos", "ood", "out_of_scope", "out-of-scope", "out of scope", "out_of_domain", "__abstain__")
    + ("域外", "范围外", "超出范围")
)
# Why a conversation is handed over.
ASKED, UNSURE, UNAVAILABLE = "asked_for_a_person", "no_sure_answer", "model_unavailable"


@dataclass(frozen=True)
class Settings:
    """Limits on scores, each 0 to 1.

    Attributes:
        threshold: Least score of an intent whose answer is given.
        margin: Most difference between the scores of two intents to choose from.
        least_pair: Least sum of these two scores.
        floor: Least score of an entry that is given for an answer; 0 where the index leaves out
            what does not reach its own floor.
        version: Version of the intent model that they were tuned for; None for none.
    """

    threshold: float = 0.8
    margin: float = 0.5
    least_pair: float = 0.7
    floor: float = 0.0
    version: int | None = None

    def with_exports(self, intents: Mapping[str, Any], index: Mapping[str, Any]) -> Settings:
        """Return the settings with what exports say in `info`, {} for none.

        An export's own threshold counts where none was tuned, and an index's own floor where it is
        higher.
        """
        threshold = (intents.get("settings") or {}).get("abstain_below")
        own = self.version is not None or threshold is None
        floor = max(self.floor, float((index.get("index") or {}).get("floor") or 0.0))
        threshold = self.threshold if own else float(threshold or 0.0)
        return dataclasses.replace(self, threshold=threshold, floor=floor)


def read_settings(path: Path) -> Settings:
    """Read the settings that `tune` wrote; the defaults where there is no file.

    Raises:
        UserError: The file is not one of settings.
    """
    if not path.exists():
        return Settings()
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        names = {one.name for one in dataclasses.fields(Settings)}
        settings = Settings(**{name: values[name] for name in names})
        limits = dataclasses.astuple(settings)[:4]
        if all(isinstance(one, float | int) and 0 <= one <= 1 for one in limits):
            return settings
        error: object = f"limits {limits}"
    except (OSError, ValueError, KeyError, TypeError) as fault:
        error = fault
    raise UserError(
        "the tuned limits cannot be read",
        f"{path}: {error}",
        "remove the file, and tune again with `python -m tfpipe.apps.support tune`",
    )


def write_settings(path: Path, values: Mapping[str, Any]) -> None:
    """Write the settings among these values as a file that `read_settings` reads."""
    kept = {one.name: values[one.name] for one in dataclasses.fields(Settings)}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(kept, indent=2) + "\n")


@dataclass(frozen=True)
class Reading:
    """What the models say of a text.

    Attributes:
        intents: Intents with their scores, the highest first; none where the model is gone.
        entries: Entries of the index as (id, answer, score), the best first; none where it was not
            asked.
        versions: Versions of the models that answered, by name.
        failed: Names of models that did not answer.
    """

    intents: list[tuple[str, float]] = field(default_factory=list)
    entries: list[tuple[str, str, float]] = field(default_factory=list)
    versions: dict[str, int] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)


def is_sure(reading: Reading, settings: Settings, answers: Answers) -> bool:
    """Whether the best intent has an answer and a score that reaches the threshold."""
    if not reading.intents:
        return False
    intent, score = reading.intents[0]
    return intent in answers and score >= settings.threshold


def close_pair(reading: Reading, settings: Settings, answers: Answers) -> list[str]:
    """The two best intents where they are close enough to ask back, else none."""
    pair = reading.intents[:2]
    if len(pair) < 2 or not all(intent in answers for intent, _ in pair):
        return []
    (first, high), (second, low) = pair
    if high - low > settings.margin or high + low < settings.least_pair:
        return []
    return [first, second]


def needs_entries(reading: Reading, settings: Settings, answers: Answers) -> bool:
    """Whether the index is to be asked: the intents neither answer nor ask back."""
    return not is_sure(reading, settings, answers) and not close_pair(reading, settings, answers)


def decide(reading: Reading, settings: Settings, answers: Answers, language: str) -> dict[str, Any]:
    """Return the reply to a text, with the fields of the HTTP interface.

    Args:
        reading: What the models say.
        settings: The limits.
        answers: The company's answers.
        language: `en` or `zh`.
    """
    intent, score = reading.intents[0] if reading.intents else (None, None)
    reply: dict[str, Any] = {
        "kind": "handover",
        "text": answers.phrase("handover", language),
        "intent": intent,
        "score": score,
        "options": [],
        "sources": [],
        "reason": UNSURE,
        "why": {
            "intents": [{"intent": name, "score": value} for name, value in reading.intents[:3]],
            "entries": [{"id": one[0], "score": one[2]} for one in reading.entries[:3]],
            "versions": reading.versions,
            **{k: v for k, v in dataclasses.asdict(settings).items() if k != "version"},
        },
    }
    if intent is not None and is_sure(reading, settings, answers):
        return reply | answer_of(intent, answers, language)
    if pair := close_pair(reading, settings, answers):
        options = [{"intent": one, "title": answers.title(one, language)} for one in pair]
        text = answers.phrase("clarify", language)
        return reply | {"kind": "clarify", "text": text, "options": options, "reason": None}
    found = [one for one in reading.entries if one[2] >= settings.floor]
    if found:
        sources = [{"id": name, "score": value} for name, _, value in found[:1]]
        text = found[0][1]
        return reply | {"kind": "retrieved", "text": text, "sources": sources, "reason": None}
    if reading.failed:
        text = answers.phrase("unavailable", language)
        return reply | {"text": text, "reason": UNAVAILABLE}
    return reply


def answer_of(intent: str, answers: Answers, language: str) -> dict[str, Any]:
    """Return the fields of the reply that answers an intent, or hands it over."""
    text = answers.text(intent, language)
    if answers.hands_over(intent):
        return {"kind": "handover", "text": text, "intent": intent, "reason": ASKED}
    return {"kind": "answer", "text": text, "intent": intent, "reason": None}
