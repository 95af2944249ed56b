"""Label rules of the task `qa`: answers and their places in the context."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, ClassVar

from tfpipe.data.changes.edits import Edits, move
from tfpipe.data.examples import Examples
from tfpipe.data.label_values import NO_ANSWER, answers_of, dump, is_no_answer
from tfpipe.data.labels import LabelRules, LabelSummary, parsed_labels
from tfpipe.data.squad import GoldAnswer, dump_answers, find_misplaced, load_answers
from tfpipe.data.tabular import strip_blanks
from tfpipe.data.token_counts import TokenCounts
from tfpipe.data.tokenizer.fast_tokenizer import FastTokenizer
from tfpipe.errors import UserError, raise_all
from tfpipe.tasks.qa.window_counts import count_lost_answers, count_window_tokens


class Answers(LabelRules):
    """Rules for labels that are a list of answers each, in JSON."""

    name: ClassVar[str] = "qa"
    labels_from_data: ClassVar[bool] = False
    has_places: ClassVar[bool] = True

    @classmethod
    def parse_labels(cls, examples: Examples) -> Sequence[tuple[GoldAnswer, ...]]:
        """Parse the answers to each question.

        Raises:
            UserError: A label is not a list of answers; the message has its row.
        """
        labels = enumerate(examples.labels or (), start=1)
        return [_parse_answers(label, f"{examples.path}, row {row}") for row, label in labels]

    @classmethod
    def moved(
        cls, label: tuple[GoldAnswer, ...], texts: Sequence[str], edits: Sequence[Edits]
    ) -> str | None:
        """Write the answers as they are in the edited context."""
        context = texts[1]
        places = [move(a.start, a.start + len(a.text), edits[1]) for a in label]
        answers = [GoldAnswer(start, context[start:end]) for start, end in places]
        return dump_answers(answers) if all(answer.text for answer in answers) else None

    @classmethod
    def check(cls, examples: Examples, to_learn: bool) -> None:
        """Check answers, questions and contexts.

        Raises:
            UserError: A label is not a list of answers, an answer is not in its context, a question
                or context is empty, or, to learn, no question has an answer.
        """
        if examples.text_pairs is None:
            raise UserError(
                "the data file has questions and no contexts",
                f"{examples.path}: the only text column is {examples.columns.text!r}",
                "give SQuAD's JSON, or name the contexts' column with --text-pair",
            )
        answers = parsed_labels(examples, cls)
        rows = [f"row {row}" for row in range(1, len(examples) + 1)]
        errors = find_misplaced(examples.path, rows, examples.text_pairs, answers)
        for what, texts in (("question", examples.texts), ("context", examples.text_pairs)):
            empty = [row for row, text in zip(rows, texts, strict=True) if not text.strip()]
            if empty:
                errors.append(
                    UserError(
                        f"{len(empty)} {what}s are empty" if empty[1:] else f"a {what} is empty",
                        f"{examples.path}: {', '.join(empty[:5])}",
                        "fill it in, or remove the row",
                    )
                )
        if to_learn and not any(answers):
            errors.append(
                UserError(
                    "no question has an answer, so there is nothing to learn",
                    f"{len(examples)} questions of {examples.path}",
                    "add questions with answers",
                )
            )
        raise_all(errors)

    @classmethod
    def strip_label(cls, label: str) -> str:
        """Remove blanks around the JSON; those within answers belong to the context."""
        return strip_blanks(label)

    @classmethod
    def write_label(cls, value: list[Any] | dict[str, Any], remarks: Counter[str]) -> str:
        """Write answers, also those of Hugging Face's squad sets, as `[[17, "Rome"]]`."""
        answers = answers_of(value)
        if answers is not None and is_no_answer(answers):
            remarks[NO_ANSWER] += 1
            return "[]"
        return dump(value if answers is None else answers)

    @classmethod
    def names_in(cls, label: tuple[GoldAnswer, ...]) -> Sequence[str]:
        """Return `answer` or `no answer`."""
        return ["answer" if label else "no answer"]

    @classmethod
    def count_tokens(
        cls, examples: Examples, tokenizer: FastTokenizer, max_length: int
    ) -> TokenCounts:
        """Count the tokens of the questions over all windows of their contexts."""
        return count_window_tokens(examples, tokenizer, max_length)

    @classmethod
    def find_lost(
        cls, examples: Examples, tokenizer: FastTokenizer, max_length: int
    ) -> Sequence[str]:
        """Report answers that are whole in no window."""
        answers = parsed_labels(examples, cls)
        return describe_lost(count_lost_answers(examples, answers, tokenizer, max_length))

    @classmethod
    def show_label(cls, examples: Examples, row: int) -> str:
        """Join the answers, each once."""
        answers = parsed_labels(examples, cls)[row]
        return " | ".join(dict.fromkeys(answer.text for answer in answers))

    @classmethod
    def describe_labels(cls, parts: Sequence[Examples]) -> LabelSummary:
        """Count the questions with and without an answer."""
        labels = [label for part in parts for label in parsed_labels(part, cls)]
        contexts = len({context for part in parts for context in part.text_pairs or ()})
        without = sum(not label for label in labels)
        held = f"It holds {len(labels):,} questions on {contexts:,} contexts"
        held += f": {len(labels) - without:,} with an answer, {without:,} without one."
        value = {"questions": len(labels), "contexts": contexts, "without_answer": without}
        return LabelSummary("questions", held, value)


def describe_lost(count: int) -> Sequence[str]:
    """Report answers that are whole in no window, which cannot be learnt."""
    return [f"{count:,} answers are longer than what windows of --max-length share"] * bool(count)


def _parse_answers(label: str, where: str) -> tuple[GoldAnswer, ...]:
    try:
        return tuple(load_answers(label))
    except (ValueError, RecursionError) as error:
        raise UserError(
            "a label is not a list of answers",
            f"{where}: {label[:60]!r}: {error}",
            'write [[start, "answer"]], or [] for none, or give SQuAD\'s JSON',
        ) from None
