"""SQuAD's JSON, versions 1 and 2, to examples: questions, contexts and answers."""

from __future__ import annotations

import json
import operator
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tfpipe.data.examples import Columns, Examples
from tfpipe.data.label_values import NO_ANSWER, is_no_answer
from tfpipe.data.rows import Rows
from tfpipe.data.text_file import DataFile
from tfpipe.errors import UserError, raise_all
from tfpipe.text_display import list_few

COLUMNS = Columns("question", "context", "answers")
# What JSON holds, in words.
KINDS = {
    type(None): "nothing",
    dict: "an object",
    list: "a list",
    str: "a string",
    int: "an integer",
    float: "a fraction",
    bool: "true or false",
}


class GoldAnswer(NamedTuple):
    """An answer in a context: the code point where it starts, and its text."""

    start: int
    text: str


class _Question(NamedTuple):
    id: str
    question: str
    context: str
    answers: list[GoldAnswer]
    is_impossible: bool
    marked_by_place: bool


def read_squad(path: str | Path, labelled: bool = True) -> Examples:
    """Read the questions of a SQuAD file, `.json` or `.json.gz`, one example each.

    Args:
        path: The file.
        labelled: Whether answers are read; without, labels are None.

    Returns:
        Questions as texts, contexts as text pairs (one string for all questions of a context), and
        labels as `dump_answers` writes them.

    Raises:
        UserError: The file cannot be read or has not SQuAD's shape, an id occurs twice, a question
            or context is empty; or, if labelled, an answer is not at its place in the context, or a
            question without one is not marked `is_impossible`.
    """
    path = Path(path)
    file = _open(path)
    questions = _read(file)
    names = [question.id for question in questions]
    errors = [
        *_refuse_repeats(path, names),
        *_refuse_empty(path, "question", names, [question.question for question in questions]),
        *_refuse_empty(path, "context", names, [question.context for question in questions]),
    ]
    if labelled:
        errors += _refuse_unmarked(path, questions)
        answers = [question.answers for question in questions]
        contexts = [question.context for question in questions]
        errors += find_misplaced(str(path), names, contexts, answers)
    raise_all(errors)
    by_place = sum(question.marked_by_place for question in questions) if labelled else 0
    return Examples(
        [question.question for question in questions],
        [question.context for question in questions],
        [dump_answers(question.answers) for question in questions] if labelled else None,
        str(path),
        COLUMNS,
        decisions=[*file.decisions, *([f"{path}: {NO_ANSWER}: {by_place:,}"] if by_place else [])],
    )


def stream_questions(path: Path) -> Rows:
    """Stream the questions and contexts of a file as rows of two columns, empty ones included.

    Answers are optional. A JSON document is one value: it is read whole, and its contexts are held
    once for all their questions.

    Raises:
        UserError: The file cannot be read, has not SQuAD's shape or holds no question.
    """
    file = _open(path)
    questions = [[question.question, question.context] for question in _read(file)]
    rest = iter(questions)
    header = [name for name in (COLUMNS.text, COLUMNS.text_pair) if name is not None]
    count = len(questions)
    return Rows(header, rest, lambda: 1 - operator.length_hint(rest) / count, file.decisions)


def has_answers(path: Path) -> bool:
    """Return whether any question has an answer, or is marked as having none; raises UserError."""
    return any(question.answers or question.is_impossible for question in _read(_open(path)))


def dump_answers(answers: Sequence[GoldAnswer]) -> str:
    """Format answers as a label: a JSON list of `[start, text]`; an empty list is no answer."""
    return json.dumps([list(answer) for answer in answers], ensure_ascii=False)


def load_answers(label: str) -> list[GoldAnswer]:
    """Parse the answers of a label; raises ValueError for what `dump_answers` would not write."""
    answers = json.loads(label)
    if not isinstance(answers, list):
        raise ValueError(f"a {type(answers).__name__}, not a list")
    for answer in answers:
        if (
            not isinstance(answer, list)
            or len(answer) != 2
            or type(answer[0]) is not int
            or not isinstance(answer[1], str)
        ):
            raise ValueError(f"{json.dumps(answer)[:60]}, not [start, text]")
    return [GoldAnswer(start, text) for start, text in answers]


def find_misplaced(
    path: str,
    names: Sequence[str],
    contexts: Sequence[str],
    answers: Sequence[Sequence[GoldAnswer]],
) -> list[UserError]:
    """Return an error for answers that are empty or not at their place in the context.

    Args:
        path: The file, for the message.
        names: A name of each question, for the message.
        contexts: The context of each question.
        answers: The answers to each question.
    """
    wrong: list[str] = []
    count = 0
    for name, context, several in zip(names, contexts, answers, strict=True):
        for start, text in several:
            stands = context[start : start + len(text)] if start >= 0 else ""
            if text.strip() and stands == text:
                continue
            count += 1
            if len(wrong) < 3:
                elsewhere = context.find(text) if text.strip() else -1
                hint = f" (it is at {elsewhere})" if elsewhere >= 0 else ""
                wrong.append(f"{name}: {text[:40]!r} at {start}, where {stands[:40]!r} is{hint}")
    if not count:
        return []
    more = f"; and {count - len(wrong)} more" if count > len(wrong) else ""
    fix = (
        "let answer_start count Unicode characters of the context from 0, and the answer's text be"
        " copied from there"
    )
    if any(start < 0 or not text.strip() for several in answers for start, text in several):
        fix += "; a question without an answer has `answers: []`, and is_impossible true"
    return [
        UserError(
            f"{count} answers are not in their context at their place"
            if count > 1
            else "an answer is not in its context at its place",
            f"{path}: {'; '.join(wrong)}{more}",
            fix,
        )
    ]


def _open(path: Path) -> DataFile:
    return DataFile(path, path.suffix.lower() == ".gz")


def _read(file: DataFile) -> list[_Question]:
    questions = list(_walk(file.path, _read_json(file)))
    if not questions:
        raise UserError(
            "the data file holds no question", str(file.path), "add paragraphs with `qas`"
        )
    return questions


def _read_json(file: DataFile) -> Any:
    path = file.path
    try:
        text = "".join(file.lines())
        if not text.strip():
            raise UserError("the data file is empty", str(path), "give a SQuAD file")
        content = json.loads(text)
        # Half of a surrogate pair, as JSON can spell it, is no character.
        if "\\u" in text:
            json.dumps(content, ensure_ascii=False).encode()
        return content
    except UnicodeError as error:
        found = f"{path}: {error}"
        raise UserError("the data file holds invalid text", found, "remove it") from None
    except (ValueError, RecursionError) as error:
        raise UserError(
            "the data file is not JSON", f"{path}: {error}", "give one JSON object, as SQuAD has it"
        ) from None


def _walk(path: Path, content: Any) -> Iterator[_Question]:
    """Yield the questions in the file's order; raises UserError for another shape."""

    def take(value: Any, name: str, kind: type, place: str, default: Any = None) -> Any:
        if not isinstance(value, dict):
            raise _wrong_shape(path, place, f"{KINDS[type(value)]}, not an object")
        found = value.get(name, default)
        # In JSON true is no number.
        if not isinstance(found, kind) or (kind is int and isinstance(found, bool)):
            wrong = f"{KINDS[type(found)]}, not {KINDS[kind]}"
            raise _wrong_shape(path, f"{place}.{name}", wrong)
        return found

    for a, article in enumerate(take(content, "data", list, "the file")):
        for p, paragraph in enumerate(take(article, "paragraphs", list, f"data[{a}]")):
            place = f"data[{a}].paragraphs[{p}]"
            context = take(paragraph, "context", str, place)
            for q, entry in enumerate(take(paragraph, "qas", list, place)):
                here = f"{place}.qas[{q}]"
                question = take(entry, "question", str, here)
                name = entry.get("id", here)
                answers = [
                    GoldAnswer(
                        take(answer, "answer_start", int, f"{here}.answers[{i}]"),
                        take(answer, "text", str, f"{here}.answers[{i}]"),
                    )
                    for i, answer in enumerate(take(entry, "answers", list, here, []))
                ]
                impossible = take(entry, "is_impossible", bool, here, False)
                # Where the file says that there is an answer, it is one that is wrong.
                by_place = is_no_answer(answers) and entry.get("is_impossible") is not False
                answers, impossible = ([], True) if by_place else (answers, impossible)
                yield _Question(str(name), question, context, answers, impossible, by_place)


def _wrong_shape(path: Path, place: str, found: str) -> UserError:
    return UserError(
        "the data file has not the shape of SQuAD",
        f"{path}: {place} is {found}",
        "write data > paragraphs > context, qas > id, question, answers > text, answer_start",
    )


def _refuse_repeats(path: Path, names: Sequence[str]) -> list[UserError]:
    counts = Counter(names)
    repeated = [name for name, count in counts.items() if count > 1]
    fix = "give each question an id of its own"
    return _refuse(path, repeated, "an id occurs more than once", "ids occur more than once", fix)


def _refuse_empty(
    path: Path, what: str, names: Sequence[str], texts: Sequence[str]
) -> list[UserError]:
    empty = [name for name, text in zip(names, texts, strict=True) if not text.strip()]
    one, several = f"a question's {what} is empty", f"questions' {what} is empty"
    if what == "question":
        one, several = "a question is empty", "questions are empty"
    return _refuse(path, empty, one, several, "fill it in, or remove the question")


def _refuse_unmarked(path: Path, questions: Sequence[_Question]) -> list[UserError]:
    bare = [q.id for q in questions if not q.answers and not q.is_impossible]
    both = [q.id for q in questions if q.answers and q.is_impossible]
    return [
        *_refuse(
            path,
            bare,
            "a question has no answer and is not marked as impossible",
            "questions have no answer and are not marked as impossible",
            "add the answers, or set is_impossible to true where the context has none",
        ),
        *_refuse(
            path,
            both,
            "a question has an answer and is marked as impossible",
            "questions have answers and are marked as impossible",
            "empty `answers`, or set is_impossible to false",
        ),
    ]


def _refuse(path: Path, names: list[str], one: str, several: str, fix: str) -> list[UserError]:
    """Return no error, or one that names the first few questions."""
    if not names:
        return []
    wrong = f"{len(names)} {several}" if names[1:] else one
    return [UserError(wrong, f"{path}: {list_few(names, show=str)}", fix)]
