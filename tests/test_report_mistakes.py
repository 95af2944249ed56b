"""The mistakes of the report: which, and what surrounds them in their texts."""

from __future__ import annotations

import numpy as np

from tfpipe.data.spans import Span
from tfpipe.tasks.excerpts import GOLD, PREDICTED, Mark, Piece, excerpt, find_words
from tfpipe.tasks.qa.evaluation import QAEvaluation
from tfpipe.tasks.tag.evaluation import TagEvaluation


def test_an_excerpt_shows_what_surrounds_the_marks_and_no_more() -> None:
    words = [f"word{n}" for n in range(1000)]
    text = " ".join(words)
    gold, predicted = text.index("word100 "), text.index("word800 ")
    pieces = excerpt(text, [Mark(gold, gold + 7, GOLD), Mark(predicted, predicted + 7, PREDICTED)])
    marked = [piece for piece in pieces if piece.gold or piece.predicted]
    assert marked == [Piece("word100", gold=True), Piece("word800", predicted=True)]
    gaps = [piece.text for piece in pieces if "…" in piece.text]
    assert gaps == ["… ", " … ", " …"]
    shown = "".join(piece.text for piece in pieces).replace("…", "").split()
    # No word is cut in two.
    assert set(shown) <= set(words) and 400 < len("".join(piece.text for piece in pieces)) < 650


def test_overlapping_marks_and_ends_of_the_text() -> None:
    pieces = excerpt("Ann Lee sings", [Mark(0, 7, PREDICTED), Mark(4, 7, GOLD)])
    assert pieces == [
        *(Piece("Ann ", predicted=True), Piece("Lee", gold=True, predicted=True), Piece(" sings"))
    ]
    assert excerpt("", []) == [Piece("")]
    assert excerpt("short", []) == [Piece("short")]
    assert len("".join(piece.text for piece in excerpt("x" * 9000, []))) == 302
    long = excerpt("y" * 9000, [Mark(0, 9000, GOLD)])
    assert [len(piece.text) for piece in long] == [300, 120, 2]


def test_words_are_found_whole_where_they_can_be() -> None:
    assert find_words("1963 in 63, 63", ["63"], GOLD) == [Mark(8, 10, GOLD), Mark(12, 14, GOLD)]
    assert find_words("我在北京工作", ["北京"], GOLD) == [Mark(2, 4, GOLD)]
    assert find_words("a.b a+b", ["a+b", "", " "], GOLD) == [Mark(4, 7, GOLD)]
    assert len(find_words("x " * 50, ["x", "x"], GOLD)) == 2
    assert len(find_words("a b c d e f", list("abcdef"), GOLD)) == 4


def make_questions() -> QAEvaluation:
    texts = [
        "either | or? | It was 1963, not 63 | 64.",
        "who? | nobody here",
        f"where? | {'far ' * 300}Rome {'off ' * 300}Oslo.",
    ]
    far = texts[2].index("Oslo") - len("where? | ")
    outputs = {
        "answer": np.array(["64", "nobody", "Oslo"], object),
        "start": np.array([texts[0].index("64.") - len("either | or? | "), 0, far]),
        "end": np.array([texts[0].index("64.") - len("either | or? | ") + 2, 6, far + 4]),
        "score": np.array([0.9, 0.8, 0.7], np.float32),
    }
    return QAEvaluation(texts, [["63", "63"], [], ["Rome"]], outputs)


def test_questions_stand_apart_and_their_contexts_are_cut_to_the_answers() -> None:
    mistakes = make_questions().mistakes_section()
    assert (mistakes.kind, mistakes.count) == ("answers", 3)
    first, second, third = mistakes.rows
    # The question holds the sign between question and context.
    assert first.question == "either | or?"
    assert first.pieces == [
        *(Piece("It was 1963, not "), Piece("63", gold=True), Piece(" | ")),
        *(Piece("64", predicted=True), Piece(".")),
    ]
    assert second.pieces == [Piece("nobody", predicted=True), Piece(" here")]
    assert (third.gold, third.predicted, third.question) == ("Rome", "Oslo", "where?")
    kept = "".join(piece.text for piece in third.pieces)
    assert len(kept) < 800 and "Rome" in kept and "Oslo" in kept and kept.count("…") == 2


def test_wrong_and_missed_entities_are_counted_by_what_is_wrong() -> None:
    text = "Ann Lee met Bob in Rome today"
    gold = [
        *(Span(0, 7, "person"), Span(12, 15, "person"), Span(19, 23, "place")),
    ]
    found = {
        # Wrong end; wrong type; both; where nothing is; nothing at all; right.
        0: [(0, 3, "person"), (12, 15, "place"), (19, 29, "person")],
        1: [(8, 11, "thing")],
        2: [],
        3: [(0, 7, "person"), (12, 15, "person"), (19, 23, "place")],
    }
    places = 3
    outputs = {
        name: np.array(
            [
                [*(span[part] for span in spans), *[fill] * (places - len(spans))]
                for spans in found.values()
            ]
        )
        for part, (name, fill) in enumerate([("start", -1), ("end", -1), ("entity", "")])
    }
    outputs["score"] = np.linspace(0.9, 0.1, 12, dtype=np.float32).reshape(4, 3)
    texts = [f"{text}{'.' * row}" for row in range(4)]
    evaluation = TagEvaluation(texts, ["person", "place"], [gold, [], gold, gold], outputs, 0.1)
    mistakes = evaluation.mistakes_section()
    assert mistakes.causes == {"limits": 1, "type": 1, "both": 1, "invented": 1, "missed": 3}
    assert mistakes.count == 7 and [row.score for row in mistakes.rows[4:]] == [None] * 3
    first = mistakes.rows[0]
    assert (first.gold, first.predicted) == ("person: Ann Lee", "person: Ann")
    assert list(first.pieces)[:2] == [
        Piece("Ann", gold=True, predicted=True),
        Piece(" Lee", gold=True),
    ]
    # Only what the row is about is marked.
    assert sum(piece.gold or piece.predicted for piece in first.pieces) == 2
