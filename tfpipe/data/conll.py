"""Two-column CoNLL files, a token and its tag a line, to texts with marked entities."""

from __future__ import annotations

import itertools
import re
import unicodedata
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tfpipe.data.examples import Columns, Examples
from tfpipe.data.rows import LineMark, Rows
from tfpipe.data.schemes import SchemeTag, find_breaks, find_entities, recognise_scheme, split_tag
from tfpipe.data.spans import Span, format_spans
from tfpipe.data.tabular import split_ending, strip_blanks
from tfpipe.data.text_file import DataFile
from tfpipe.errors import UserError

DOCUMENT_START = "-DOCSTART-"
# Han characters, which BERT's tokenizer takes one by one.
HAN = re.compile(
    r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0002a6df\U0002a700-\U0002b81f"
    r"\U0002b920-\U0002ceaf\U0002f800-\U0002fa1f]"
)
# Blocks of Chinese and Japanese writing; Korean is written with spaces.
CJK = re.compile(r"[\u3001-\u303f\u3040-\u30ff\u31f0-\u31ff\ufe30-\ufe4f\uff01-\uff9f]")


@dataclass
class Sentence:
    """Tokens of a sentence and their tags.

    Attributes:
        tokens: The first field of each line.
        tags: The last field of each line.
        lines: The line number of each token in the file.
        stripped: Whether a tag had blanks around it that are not separators.
    """

    tokens: list[str]
    tags: list[str]
    lines: list[int]
    stripped: bool = False


def read_conll(path: str | Path, labelled: bool = True) -> Examples:
    """Read a file's sentences as texts, with their entities as labels (see data/spans.py).

    Args:
        path: The file, `.conll` or `.conll.gz`.
        labelled: Whether tags are read. Their scheme is recognised; without it there need be none.

    Raises:
        UserError: The file cannot be read, a line has no token or tag, a tag has no type, or a
            sequence breaks its scheme.
    """
    path = Path(path)
    file = DataFile(path, path.suffix.lower() == ".gz")
    sentences = list(_refuse_none(path, read_sentences(file, labelled)))
    joined = [join_tokens(sentence.tokens) for sentence in sentences]
    labels = (
        label_sentences(path, sentences, [starts for _, starts in joined]) if labelled else None
    )
    columns = Columns("text", None, "label" if labelled else None)
    stripped = sum(sentence.stripped for sentence in sentences) if labelled else 0
    return Examples(
        *([text for text, _ in joined], None, labels, str(path), columns, stripped),
        decisions=file.decisions,
        lines=array("q", (sentence.lines[0] for sentence in sentences)),
    )


def stream_texts(path: Path) -> Rows:
    """Stream the sentences of a file that may exceed memory as rows of one column, `text`.

    Raises:
        UserError: The file has no sentences.
    """
    file = DataFile(path, split_ending(path)[1])
    sentences = _refuse_none(path, read_sentences(file, False))
    mark = LineMark()
    rows = mark.follow((one.lines[0], [join_tokens(one.tokens)[0]]) for one in sentences)
    return Rows(["text"], rows, lambda: file.share_read, file.decisions, lambda: mark.line)


def has_tags(path: Path) -> bool:
    """Return whether a file's first sentence has tags, not tokens alone; raises UserError."""
    sentence = next(read_sentences(DataFile(path, path.suffix.lower() == ".gz"), False), None)
    return sentence is not None and sentence.tags != sentence.tokens


def _refuse_none(path: Path, sentences: Iterator[Sentence]) -> Iterator[Sentence]:
    """Return the sentences, once the first was read; raises UserError where there is none."""
    for first in sentences:
        return itertools.chain([first], sentences)
    raise UserError(
        "the data file has no sentences",
        str(path),
        "write a token and its tag a line, and a blank line between sentences",
    )


def read_sentences(file: DataFile, labelled: bool = True) -> Iterator[Sentence]:
    """Yield the sentences of a file; without `labelled`, a token alone is a valid line."""
    sentence, width = Sentence([], [], []), 0
    for number, written_line in enumerate(file.lines(), start=1):
        line = written_line.rstrip("\r\n\t ")
        # Between tabs a token may hold spaces, and be one that is no space in ASCII.
        fields = [field.strip(" ") for field in line.split("\t")]
        if len(fields) == 1:
            fields = fields[0].split(" ") if fields[0] else []
            fields = [field for field in fields if field]
        if not any(fields) or fields[0] == DOCUMENT_START:
            if sentence.tokens:
                yield sentence
                sentence = Sentence([], [], [])
            continue
        written = fields[-1]
        if fields[1:]:
            fields[-1] = strip_blanks(written)
        if _is_comment(fields, width):
            continue
        _refuse_line(f"{file.path}, line {number}", line, fields, width, labelled)
        width = width or len(fields)
        sentence.stripped |= written != fields[-1]
        sentence.tokens.append(fields[0])
        sentence.tags.append(fields[-1])
        sentence.lines.append(number)
    if sentence.tokens:
        yield sentence


def join_tokens(tokens: Sequence[str]) -> tuple[str, list[int]]:
    """Join tokens to a text, and return where each of them begins in it.

    Between them is a space, as in most scripts, and none between characters of Chinese and Japanese
    where BERT's tokenizer divides them anyway: its words are always those of the tokens one by one,
    so that no boundary is lost.
    """
    parts: list[str] = []
    starts: list[int] = []
    length = 0
    for token in tokens:
        if parts and not _runs_on(parts[-1][-1], token[0]):
            parts.append(" ")
            length += 1
        starts.append(length)
        parts.append(token)
        length += len(token)
    return "".join(parts), starts


def _runs_on(left: str, right: str) -> bool:
    """Return whether two characters belong to two words although no space is between them."""
    both_cjk = all(HAN.match(c) or CJK.match(c) for c in (left, right))
    return both_cjk and any(HAN.match(c) or _is_punctuation(c) for c in (left, right))


def _is_punctuation(character: str) -> bool:
    return unicodedata.category(character).startswith("P")


def _is_comment(fields: list[str], width: int) -> bool:
    """Return whether a line that begins with # has no token, unlike the # of a hashtag."""
    if not fields[0].startswith("#"):
        return False
    return len(fields) != (width or 2) or (len(fields) > 1 and split_tag(fields[-1]) is None)


def _refuse_line(where: str, line: str, fields: list[str], width: int, labelled: bool) -> None:
    """Raise UserError for a line that is not a token and its tag."""
    shown = repr(line if len(line) <= 60 else f"{line[:57]}...")
    if "\r" in line:
        raise UserError(
            "the lines end with carriage returns alone",
            where,
            "save the file with the line ends of Unix or Windows",
        )
    if not fields[0]:
        raise UserError(
            "a line has a tag and no token", f"{where}: {shown}", "add the token, or remove it"
        )
    if width and len(fields) != width:
        raise UserError(
            "a line has more or fewer columns than those before it",
            f"{where}: {shown}, {len(fields)} instead of {width}",
            "write a token and its tag, with a tab or a space between",
        )
    if labelled and len(fields) == 1:
        raise UserError(
            "a line has one column, and a token and its tag are needed",
            f"{where}: {shown}",
            "write the token, a tab, and its tag, such as O or B-person",
        )
    if labelled and split_tag(fields[-1]) is None:
        bare = fields[-1].rstrip("-") in (*"BIESLUM",)
        raise UserError(
            "a tag has no type" if bare else "a tag is not of BIO, IOB1 or BIOES",
            f"{where}: {fields[-1]!r} in {shown}",
            "write O outside of entities, and B-person, I-person and so on in them",
        )


def label_sentences(
    path: Path, sentences: list[Sentence], starts: list[list[int]], unit: str = "line"
) -> list[str]:
    """Format the entities of each sentence as a label.

    Args:
        path: The file, for messages.
        sentences: Their tokens and tags.
        starts: Where each token begins in the text of its sentence.
        unit: What the numbers in `Sentence.lines` count.

    Raises:
        UserError: The tags of a sentence break the scheme.
    """
    # Millions of tokens share a few tags.
    known: dict[str, SchemeTag] = {}
    for sentence in sentences:
        for written in sentence.tags:
            if written not in known:
                tag = split_tag(written)
                assert tag is not None
                known[written] = tag
    tagged = [[known[written] for written in sentence.tags] for sentence in sentences]
    scheme = recognise_scheme(tagged)
    broken = [
        (sentence, one)
        for sentence, tags in zip(sentences, tagged, strict=True)
        for one in find_breaks(tags, scheme)
    ]
    if broken:
        sentence, (place, fix) = broken[0]
        before = f"after {sentence.tags[place - 1]}" if place else "at the start of a sentence"
        more = f", and {len(broken) - 1} more such tags" if len(broken) > 1 else ""
        raise UserError(
            f"a tag sequence breaks {scheme}, as which the file was read",
            f"{path}, {unit} {sentence.lines[place]}: {sentence.tags[place]} {before}"
            f" ({sentence.tokens[place]!r}){more}",
            f"write {fix}",
        )
    return [
        format_spans(
            Span(begins[first], begins[limit - 1] + len(sentence.tokens[limit - 1]), kind)
            for first, limit, kind in find_entities(tags)
        )
        for sentence, tags, begins in zip(sentences, tagged, starts, strict=True)
    ]
