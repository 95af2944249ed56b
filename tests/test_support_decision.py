"""Decisions by scores, the limits that are tuned, and the limits on visitors."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.customer_service import ANSWERS, SETTINGS
from tfpipe.apps.support.answers import Answers, language_of
from tfpipe.apps.support.decision import UNAVAILABLE, UNSURE, Reading, Settings, decide
from tfpipe.apps.support.rate_limit import RateLimit
from tfpipe.apps.support.tuning import choose_margin, choose_threshold, judge, measure
from tfpipe.errors import UserError


@pytest.mark.parametrize(
    ("reading", "kind"),
    [
        (Reading([("refund", 0.8), ("order", 0.1)]), "answer"),
        (Reading([("refund", 0.799), ("order", 0.1)]), "handover"),
        (Reading([("refund", 0.45), ("order", 0.16)]), "clarify"),
        (Reading([("refund", 0.46), ("order", 0.15)]), "handover"),  # Too far apart.
        (Reading([("refund", 0.4), ("order", 0.19)]), "handover"),  # Too little together.
        (Reading([("oos", 0.99), ("refund", 0.01)]), "handover"),
        (Reading([("oos", 0.5), ("refund", 0.4)]), "handover"),
        (Reading([("oos", 0.9)], [("e", "text", 0.5)]), "retrieved"),
        (Reading([("oos", 0.9)], [("e", "text", 0.49)]), "handover"),
        (Reading([], [("e", "text", 0.9)], failed=["intents"]), "retrieved"),
        (Reading([("person", 0.9), ("refund", 0.1)]), "handover"),
        (Reading(), "handover"),
    ],
)
def test_kinds(reading: Reading, kind: str) -> None:
    reply = decide(reading, SETTINGS, ANSWERS, "en")
    assert reply["kind"] == kind and reply["text"]
    assert (len(reply["options"]), len(reply["sources"])) == (
        2 * (kind == "clarify"),
        int(kind == "retrieved"),
    )


def test_reasons() -> None:
    assert decide(Reading(), SETTINGS, ANSWERS, "zh")["reason"] == UNSURE
    failed = Reading(failed=["intents"])
    assert decide(failed, SETTINGS, ANSWERS, "zh")["reason"] == UNAVAILABLE


def test_exports_bring_their_own_limits() -> None:
    info, index = {"settings": {"abstain_below": 0.4}}, {"index": {"floor": 0.3}}
    assert Settings().with_exports(info, index) == Settings(threshold=0.4, floor=0.3)
    tuned = Settings(threshold=0.7, floor=0.5, version=2)
    assert tuned.with_exports(info, index) == tuned
    assert Settings().with_exports({}, {}) == Settings()


def test_languages() -> None:
    assert [language_of(text, "zh") for text in ("Hi", "你好 iPhone", "42?", "12？")] == [
        "en",
        "zh",
        "zh",
        "zh",
    ]
    assert language_of("42?", "en") == "en"


def scored(
    rows: list[tuple[str, float, str, float, str]],
) -> tuple[list[str], np.ndarray, np.ndarray]:
    names = ["a", "b", "c", "oos"]
    scores = np.zeros((len(rows), 4))
    for row, (first, high, second, low, _) in enumerate(rows):
        scores[row, names.index(first)], scores[row, names.index(second)] = high, low
    return names, scores, np.array([row[-1] for row in rows])


def test_the_threshold_is_the_lowest_that_will_do() -> None:
    rows = [("a", 0.95, "b", 0.01, "a")] * 300 + [("a", 0.75, "b", 0.2, "b")] * 50
    rows += [("b", 0.85, "c", 0.1, "b")] * 50 + [("oos", 0.9, "a", 0.1, "oos")] * 30
    rows += [("c", 0.7, "a", 0.01, "oos")] * 20
    judged = judge(*scored(rows), Answers())
    threshold = choose_threshold(judged, 0.96, 0.6)
    assert 0.75 < threshold <= 0.85
    figures = measure(judged, Settings(threshold, 0.0, 1.0))
    assert figures["answered"] == 350 / 400 and figures["answered_right"] == 1
    assert (figures["outside"], figures["outside_not_answered"]) == (50, 1.0)
    # Right is what is given, so that fewer right ones are enough for more answers.
    assert choose_threshold(judged, 0.8, 0.3) < 0.75
    with pytest.raises(UserError, match="no threshold") as error:
        choose_threshold(judge(*scored([("a", 0.9, "b", 0.1, "b")] * 200), Answers()), 0.96, 0.6)
    assert "200 texts, 0.000 of them right" in error.value.found


def test_pairs_are_asked_where_they_hold_the_right_intent() -> None:
    close = [("a", 0.5, "b", 0.4, "b")] * 60
    far = [("a", 0.7, "c", 0.1, "b")] * 60
    judged = judge(*scored(close + far), Answers())
    margin, least = choose_margin(judged, 0.8, 0.6)
    assert 0.1 <= margin < 0.6
    figures = measure(judged, Settings(0.8, margin, least))
    assert (figures["asked_back"], figures["pairs_right"]) == (0.5, 1.0)
    assert choose_margin(judge(*scored(far), Answers()), 0.8, 0.6) == (0.0, 1.0)
    few = judge(*scored(close[:5]), Answers())
    assert choose_margin(few, 0.8, 0.6) == (Settings.margin, Settings.least_pair)


def test_a_rate_limit_refills() -> None:
    now = [0.0]
    limit = RateLimit(0.5, 2, clock=lambda: now[0])
    assert [limit.wait_for("a") for _ in range(3)] == [0, 0, 2]
    assert limit.wait_for("b") == 0
    now[0] = 1.0
    assert limit.wait_for("a") == 1
    now[0] = 2.0
    assert limit.wait_for("a") == 0
    now[0] = 100.0
    assert [limit.wait_for("a") for _ in range(3)] == [0, 0, 2]
