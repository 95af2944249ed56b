"""CoNLL files in every scheme to the same texts and entities, and what is refused."""

from __future__ import annotations

import functools
import gzip
import json
from array import array
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfpipe.data.conll import CJK, HAN, join_tokens, read_conll, stream_texts
from tfpipe.data.schemes import BIO, BIOES, IOB1, find_entities, recognise_scheme, split_tag
from tfpipe.data.spans import parse_spans
from tfpipe.data.tokenizer import Tokenizer, WordPiece
from tfpipe.errors import UserError

TOKENS = ["Ann", "Lee", "met", "Bob", "Ray", "in", "Rome", "."]
SCHEMES = {
    BIO: ["B-per", "I-per", "O", "B-per", "B-per", "O", "B-loc", "O"],
    IOB1: ["I-per", "I-per", "O", "I-per", "B-per", "O", "I-loc", "O"],
    BIOES: ["B-per", "E-per", "O", "S-per", "S-per", "O", "S-loc", "O"],
    "BILOU": ["B-per", "L-per", "O", "U-per", "U-per", "O", "U-loc", "O"],
}
TEXT = "Ann Lee met Bob Ray in Rome ."
ENTITIES = [[0, 7, "per"], [12, 15, "per"], [16, 19, "per"], [23, 27, "loc"]]


@pytest.mark.parametrize("blank", ["\u00a0", "\u3000", "\u200b"])
def test_tags_are_stripped_and_counted(tmp_path: Path, blank: str) -> None:
    rows = [f"{t}\t{tag}" for t, tag in zip(TOKENS, SCHEMES[BIO], strict=True)]
    # A token may be what no tag can end with.
    rows[0] += blank
    rows[1] += blank
    rows.append(f"{blank}\tO")
    content = "\n".join([*rows, "", "Ann\tB-per", ""])
    found = read_conll(write(tmp_path / "a.conll", content))
    assert found.texts == [f"{TEXT} {blank}", "Ann"]
    assert json.loads((found.labels or ())[0]) == ENTITIES and found.stripped == 1


@functools.cache
def bare() -> Tokenizer:
    """Every word is one token."""
    return Tokenizer(WordPiece(["[PAD]", "[UNK]", "[CLS]", "[SEP]"]))


def write(path: Path, content: str) -> Path:
    path.write_bytes(content.encode())
    return path


def as_lines(tags: list[str], separator: str = "\t", end: str = "\n") -> str:
    return "".join(f"{t}{separator}{tag}{end}" for t, tag in zip(TOKENS, tags, strict=True))


def refused(path: Path, content: str) -> UserError:
    with pytest.raises(UserError) as caught:
        read_conll(write(path, content))
    return caught.value


# ---- what is read ---------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize(
    "separator,end", [("\t", "\n"), (" ", "\n"), ("  ", "\r\n"), ("\t", " \n")]
)
def test_every_scheme_says_the_same(tmp_path: Path, scheme: str, separator: str, end: str) -> None:
    path = write(tmp_path / "a.conll", as_lines(SCHEMES[scheme], separator, end))
    examples = read_conll(path)
    assert (examples.texts, examples.text_pairs) == ([TEXT], None)
    assert [json.loads(label) for label in examples.labels or ()] == [ENTITIES]


def test_the_scheme_is_recognised() -> None:
    for scheme, written in SCHEMES.items():
        tags = [tag for tag in map(split_tag, written) if tag]
        assert recognise_scheme([tags]) == (BIOES if scheme == "BILOU" else scheme)
    assert recognise_scheme([]) == BIO


def test_what_stands_between_sentences_is_passed_over(tmp_path: Path) -> None:
    content = (
        "\ufeff# global comment O\n-DOCSTART- -X- O O\n\n\n"
        "# id = 7\na\tO\n#\tO\n#tag\tB-x\n \t \r\n# another\tcomment\nb\tO\n-DOCSTART-\tO\nc\tB-x"
    )
    examples = read_conll(write(tmp_path / "a.conll", content))
    assert examples.texts == ["a # #tag", "b", "c"]
    assert [*(examples.lines or ())] == [6, 11, 13]
    assert examples.take([2, 0]).lines == array("q", [13, 6])
    opened = stream_texts(tmp_path / "a.conll")
    assert [opened.line() for _ in opened.rows] == [6, 11, 13]
    assert [*map(json.loads, examples.labels or ())] == [[[4, 8, "x"]], [], [[0, 1, "x"]]]


def test_a_gzipped_file_and_more_columns(tmp_path: Path) -> None:
    path = tmp_path / "a.conll.gz"
    path.write_bytes(gzip.compress(b"EU NNP B-NP I-ORG\nrejects VBZ B-VP O\n"))
    examples = read_conll(path)
    assert (examples.texts, examples.labels) == (["EU rejects"], ['[[0, 2, "ORG"]]'])


def test_without_labels_a_token_is_enough(tmp_path: Path) -> None:
    path = write(tmp_path / "a.conll", "a\nb\n\nc\n")
    examples = read_conll(path, labelled=False)
    assert (examples.texts, examples.labels) == (["a b", "c"], None)
    assert [*stream_texts(path).rows] == [["a b"], ["c"]]
    broken = write(tmp_path / "b.conll", "a\tI-x\nb\tB-\n")
    assert read_conll(broken, labelled=False).texts == ["a b"]


def test_a_type_may_hold_hyphens_and_a_token_spaces(tmp_path: Path) -> None:
    examples = read_conll(write(tmp_path / "a.conll", "New York\tB-geo-place\n1 2\tI-geo-place\n"))
    assert examples.labels == ['[[0, 12, "geo-place"]]']


# ---- joined tokens --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "tokens,text",
    [
        (["我", "在", "北京", "。"], "我在北京。"),
        (["用", "iPhone", "拍", "，", "好"], "用 iPhone 拍，好"),
        (["タワー", "は", "東京", "だ"], "タワー は東京だ"),
        (["서울", "에", "가"], "서울 에 가"),
        (["ａ", "ｂ", "！"], "ａ ｂ！"),
        (["👍", "好", "!"], "👍 好 !"),
    ],
)
def test_chinese_and_japanese_are_joined_without_spaces(tokens: list[str], text: str) -> None:
    joined, starts = join_tokens(tokens)
    assert joined == text
    assert [joined[s : s + len(t)] for s, t in zip(starts, tokens, strict=True)] == tokens


def test_every_sign_that_needs_no_space_is_a_word_by_itself() -> None:
    """Of all code points: between kana, which grow together, such a sign still divides."""
    signs = [
        c
        for c in map(chr, [*range(0xD800), *range(0xE000, 0x110000)])
        if HAN.match(c) or CJK.match(c)
    ]
    joined = [join_tokens(["か", sign, "か"])[0] for sign in signs]
    assert sum(" " not in text for text in joined) > 80_000
    counts = bare().tokenize(joined).row_lengths().numpy()
    alone = bare().tokenize(signs).row_lengths().numpy()
    assert [*counts] == [*(alone + 2)]


@settings(deadline=None)
@given(
    st.lists(
        st.text("aé9-'#か々タ中国。、，！Ａ한👍\u0301\u200d\u3007", min_size=1, max_size=3),
        min_size=1,
        max_size=6,
    )
)
def test_the_words_of_a_text_are_those_of_its_tokens(tokens: list[str]) -> None:
    text, starts = join_tokens(tokens)
    assert [text[s : s + len(t)] for s, t in zip(starts, tokens, strict=True)] == tokens
    whole = bare().tokenize([text]).row_lengths().numpy()[0]
    assert whole == bare().tokenize(tokens).row_lengths().numpy().sum()


# ---- there and back -------------------------------------------------------------------------

SENTENCES = st.lists(
    st.lists(
        st.tuples(st.sampled_from(["Ann", "中", "国", "。", "😀", "x-1"]), st.integers(0, 4)),
        min_size=1,
        max_size=7,
    ),
    min_size=1,
    max_size=4,
)


def legal_tags(numbers: list[int]) -> list[str]:
    """Any numbers as BIO: 3 and 4 go on with an entity where there is one."""
    tags: list[str] = []
    for number in numbers:
        if number > 2:
            before = tags[-1] if tags else "O"
            tags.append("O" if before == "O" else f"I-{before[2:]}")
        else:
            tags.append(["O", "B-a", "B-b"][number])
    return tags


@settings(deadline=None)
@given(SENTENCES)
def test_from_tags_to_spans_and_back(tmp_path_factory: pytest.TempPathFactory, rows: list) -> None:
    tagged = [([t for t, _ in row], legal_tags([n for _, n in row])) for row in rows]
    content = "\n".join(
        "".join(f"{t}\t{tag}\n" for t, tag in zip(*sentence, strict=True)) for sentence in tagged
    )
    examples = read_conll(write(tmp_path_factory.mktemp("conll") / "a.conll", content))
    for text, label, (tokens, tags) in zip(
        examples.texts, examples.labels or (), tagged, strict=True
    ):
        _, starts = join_tokens(tokens)
        back = ["O"] * len(tokens)
        for span in parse_spans(label, text):
            places = [i for i, start in enumerate(starts) if span.start <= start < span.end]
            for place in places:
                back[place] = f"{'B' if place == places[0] else 'I'}-{span.type}"
        assert back == tags


def test_a_real_file(shared_data: Path) -> None:
    path = shared_data / "wnut17" / "dev.conll"
    examples = read_conll(path)
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(examples) == 1008
    begun = sum("\tB-" in line for line in lines)
    assert sum(len(json.loads(label)) for label in examples.labels or ()) == begun > 500


# ---- what is refused ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content,wrong,found",
    [
        ("a O\nb B-x\nc I-y\n", "breaks BIO", "line 3: I-y after B-x ('c')"),
        ("a B-x\n\nb I-x\n", "breaks BIO", "line 3: I-x at the start of a sentence"),
        ("a I-x\nb O\nc I-y\nd O\ne B-x\n", "breaks IOB1", "line 5: B-x after O"),
        ("a S-x\nb B-x\nc O\n", "breaks BIOES", "line 2: B-x after S-x"),
        ("a B-x\nb I-x\nc E-y\n", "breaks BIOES", "line 2: I-x after B-x ('b'), and 1 more"),
        ("a\nb\n", "one column", "line 1: 'a'"),
        ("a O\nb\n", "more or fewer columns", "line 2: 'b', 1 instead of 2"),
        ("a O\nb x O\n", "more or fewer columns", "line 2: 'b x O', 3 instead of 2"),
        ("a B\n", "no type", "line 1: 'B'"),
        ("a O\nb I-\n", "no type", "line 2: 'I-'"),
        ("a X-per\n", "not of BIO", "line 1: 'X-per'"),
        ("a NNP\n", "not of BIO", "line 1: 'NNP'"),
        ("a\tO\n\tO\n", "no token", "line 2"),
        ("a\tO\rb\tO\n", "carriage returns", "line 1"),
        ("\n\n# nothing\n-DOCSTART- O\n", "no sentences", "a.conll"),
        ("", "no sentences", "a.conll"),
    ],
)
def test_bad_files_are_refused(tmp_path: Path, content: str, wrong: str, found: str) -> None:
    error = refused(tmp_path / "a.conll", content)
    assert wrong in error.wrong
    assert found in error.found and "a.conll" in error.found
    assert error.fix


def test_what_to_write_instead_is_said(tmp_path: Path) -> None:
    path = tmp_path / "a.conll"
    assert "write B-y" in refused(path, "a O\nb B-x\nc I-y\n").fix
    assert "write S-x" in refused(path, "a S-x\nb B-x\nc O\n").fix
    assert "write E-x" in refused(path, "a S-x\nb B-x\nc I-x\n").fix


@settings(deadline=None)
@given(st.lists(st.sampled_from(["O", "B-a", "I-a", "E-a", "S-a", "B-b", "I-b"]), max_size=8))
def test_entities_of_any_tags_are_apart_and_hold_all_of_them(written: list[str]) -> None:
    tags = [tag for tag in map(split_tag, written) if tag]
    entities = find_entities(tags)
    inside = [place for first, limit, _ in entities for place in range(first, limit)]
    assert inside == [place for place, tag in enumerate(written) if tag != "O"]
