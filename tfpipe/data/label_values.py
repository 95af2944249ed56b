"""Labels that a file holds as lists or tables, as annotation tools and data hubs write them."""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping
from typing import Any

from tfpipe.data.tabular import strip_blanks

STARTS, ENDS = ("start", "start_offset"), ("end", "end_offset")
TYPES = ("label", "labels", "type", "entity_group", "entity")
# The tables in which Label Studio holds what an annotator chose.
CHOSEN = ("choices", "rating", "number")

NO_ANSWER = "questions read as without an answer, for theirs starts at -1 and has no text"


class UnreadableLabel(ValueError):
    """A value is not a label of the task.

    Attributes:
        wrong: What is wrong with it.
        fix: What to do.
    """

    def __init__(self, wrong: str, fix: str):
        super().__init__(wrong)
        self.wrong, self.fix = wrong, fix


def parse_literal(text: str) -> Any:
    """Parse a list or table that is written as JSON, or as Python prints it; None for others."""
    stripped = strip_blanks(text)
    if stripped[:1] not in ("[", "{"):
        return None
    for parse in (json.loads, ast.literal_eval):
        try:
            return parse(stripped)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
    return None


def is_dump(text: str, value: Any) -> bool:
    """Return whether a text is a list or table in JSON, of the same value."""
    try:
        return bool(json.loads(strip_blanks(text)) == value)
    except (ValueError, RecursionError):
        return False


def dump(value: Any) -> str:
    """Format a list or table as JSON; what JSON has no form for becomes text."""
    return json.dumps(value, ensure_ascii=False, default=str)


def choices_of(value: Any) -> list[str] | None:
    """Return the names in `["a", "b"]` or Label Studio's `{"choices": ["a"]}`; None for others."""
    if isinstance(value, dict):
        if len(value) != 1 or next(iter(value)) not in CHOSEN:
            return None
        value = next(iter(value.values()))
        value = value if isinstance(value, list) else [value]
    if not isinstance(value, list) or not all(isinstance(v, str | int | float) for v in value):
        return None
    return [strip_blanks(str(v).lower() if isinstance(v, bool) else str(v)) for v in value]


def one_choice(value: Any) -> str:
    """Return the one name in a list or table, "" for none.

    Raises:
        UnreadableLabel: There are several names, or it holds something else.
    """
    names = choices_of(value)
    if names is None:
        raise UnreadableLabel(
            "a label is a list or table that does not hold names",
            'write one name, or ["name"]; --task tag reads entities, --task qa answers',
        )
    if len(names) > 1:
        raise UnreadableLabel(
            "a row has several labels", "--task multilabel reads all of them; or keep one"
        )
    return names[0] if names else ""


def spans_of(value: Any) -> list[Any] | None:
    """Return entities as sorted lists `[start, end, type]`; None for other than a list of entities.

    Entities are such lists, or tables with their start, end (exclusive) and label, as doccano,
    Prodigy and Label Studio write them.
    """
    if isinstance(value, dict) and isinstance(value.get("entities"), list):
        value = value["entities"]
    if not isinstance(value, list):
        return None
    spans: list[Any] = [_span_of(one) if isinstance(one, dict) else one for one in value]
    if not all(isinstance(span, list | tuple) and len(span) == 3 for span in spans):
        return None
    if all([*map(type, span)] == [int, int, str] for span in spans):
        spans.sort(key=lambda span: (span[0], span[1]))
    return [[*span] for span in spans]


def _span_of(entity: Mapping[str, Any]) -> list[Any] | None:
    start, end, kind = (
        next((entity[name] for name in names if entity.get(name) is not None), None)
        for names in (STARTS, ENDS, TYPES)
    )
    if isinstance(kind, list) and len(kind) == 1:
        kind = kind[0]
    return None if start is None or end is None or kind is None else [start, end, kind]


def answers_of(value: Any) -> list[Any] | None:
    """Return answers as lists `[start, text]`; None for other than a list of answers.

    Answers are such lists, tables with `answer_start` and `text`, or one table with a list of each,
    as the squad data sets of Hugging Face have it.
    """
    if isinstance(value, dict):
        starts, texts = value.get("answer_start"), value.get("text")
        if not isinstance(starts, list) or not isinstance(texts, list):
            starts, texts = [starts], [texts]
        if len(starts) != len(texts):
            return None
        value = [[start, text] for start, text in zip(starts, texts, strict=True)]
    if not isinstance(value, list):
        return None
    answers = [
        [one.get("answer_start"), one.get("text")] if isinstance(one, dict) else one
        for one in value
    ]
    ok = all(
        isinstance(answer, list | tuple)
        and len(answer) == 2
        and type(answer[0]) is int
        and isinstance(answer[1], str)
        for answer in answers
    )
    return [[*answer] for answer in answers] if ok else None


def is_no_answer(answers: list[Any]) -> bool:
    """Return whether all answers start at -1 and have no text, which some files write for none."""
    return bool(answers) and all(start == -1 and not text.strip() for start, text in answers)
