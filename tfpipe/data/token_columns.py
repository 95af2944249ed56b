"""Rows of a list of tokens and a list of their tags, as Hugging Face's NER data sets have them."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tfpipe.data.column_names import TOKEN_COLUMNS, find_name
from tfpipe.data.conll import Sentence, join_tokens, label_sentences
from tfpipe.data.examples import Columns, Examples
from tfpipe.data.label_values import parse_literal
from tfpipe.data.rows import Rows
from tfpipe.data.schemes import split_tag
from tfpipe.data.tabular import strip_blanks
from tfpipe.errors import UserError

TAG_COLUMNS = ("ner_tags", "tags", "ner", "bio_tags", "labels", "label")


def find_token_columns(
    header: Sequence[str], sample: Sequence[Sequence[Any]], asked: Columns
) -> Columns | None:
    """Return the columns of tokens and of their tags; None where a file has no such columns."""
    tokens = asked.text or find_name(header, TOKEN_COLUMNS)
    tags = asked.label or find_name(header, TAG_COLUMNS)
    if tokens not in header or tags not in header or asked.text_pair is not None:
        return None
    places = [header.index(name) for name in (tokens, tags)]
    for row in sample:
        words, marks = (as_list(row[place]) for place in places)
        if words is None or marks is None or len(words) != len(marks):
            return None
        if not all(isinstance(word, str) for word in words):
            return None
    return Columns(tokens, None, tags) if sample else None


def as_list(value: Any) -> list[Any] | None:
    """Return a list, also one that is written as JSON or as Python prints it; None for others."""
    value = parse_literal(value) if isinstance(value, str) else value
    return value if isinstance(value, list) else None


def read_value(name: str, value: Any) -> Any:
    """Return the value of a text column, joined to a text where the column is one of words."""
    if name not in TOKEN_COLUMNS:
        return value
    words = as_list(value)
    if words is None or not all(isinstance(word, str) for word in words):
        return value
    return join_tokens([word for word in map(strip_blanks, words) if word])[0]


def read_tagged_rows(path: Path, opened: Rows, columns: Columns) -> Examples:
    """Read rows of tokens and tags as texts with entities, as the sentences of a .conll are.

    Raises:
        UserError: A row has another number of tags than tokens, a tag is a number or of no scheme,
            or a sequence breaks its scheme.
    """
    places = [opened.header.index(name) for name in (columns.text, columns.label) if name]
    sentences, lines = [], array("q")
    for number, row in enumerate(opened.rows, start=1):
        where = f"{path}, row {number}"
        tokens, tags = (as_list(row[place]) or [] for place in places)
        _refuse_row(where, tokens, tags)
        pairs = [
            (strip_blanks(str(token)), str(tag)) for token, tag in zip(tokens, tags, strict=True)
        ]
        kept = [(token, tag) for token, tag in pairs if token]
        lines.append(opened.line() or 0)
        sentences.append(Sentence([t for t, _ in kept], [t for _, t in kept], [number] * len(kept)))
    joined = [join_tokens(sentence.tokens) for sentence in sentences]
    labels = label_sentences(path, sentences, [starts for _, starts in joined], "row")
    texts = [text for text, _ in joined]
    return Examples(
        *(texts, None, labels, str(path), columns),
        decisions=opened.decisions,
        lines=lines if opened.line() else None,
    )


def _refuse_row(where: str, tokens: Sequence[Any], tags: Sequence[Any]) -> None:
    if len(tokens) != len(tags):
        raise UserError(
            "a row has more or fewer tags than tokens",
            f"{where}: {len(tags)} tags, {len(tokens)} tokens",
            "write a tag for each token",
        )
    for tag in tags:
        if isinstance(tag, int) or (isinstance(tag, str) and tag.isdecimal()):
            raise UserError(
                "tags are numbers, and the file does not say what they are called",
                f"{where}: tag {tag}",
                "write names such as O, B-person and I-person; in `datasets` they are"
                " dataset.features[COLUMN].feature.names",
            )
        if not isinstance(tag, str) or split_tag(tag) is None:
            raise UserError(
                "a tag is not of BIO, IOB1 or BIOES",
                f"{where}: {tag!r}",
                "write O outside of entities, and B-person, I-person and so on in them",
            )
