"""Evaluations of every task, hostile texts and names included."""

from __future__ import annotations

import numpy as np

from tfpipe.data.spans import Span
from tfpipe.tasks.classify.evaluation import ClassificationEvaluation as Evaluation
from tfpipe.tasks.multilabel.evaluation import MultilabelEvaluation
from tfpipe.tasks.qa.evaluation import QAEvaluation
from tfpipe.tasks.regress.evaluation import RegressEvaluation
from tfpipe.tasks.tag.evaluation import TagEvaluation

HOSTILE = [
    '<script>alert(1)</script><img src="http://evil.example/x" onerror=alert(1)>',
    "a | b || c\n| d | e |\n\n# heading `code` **bold** [link](http://evil.example) <b>",
    "word " * 2_048,
    "\u202eoverridden\x00\x07\x1b[31m &lt;script&gt; {{ report }} {% raw %} ]]> -->",
    "我的银行卡丢了，怎么办？" * 30,
    "",
]
NAMES = [
    '<script>"x"',
    "a|b `c` $x^2$",
    "退款_查询",
    "id=\"y\" url(#z) & 'q'",
    "plain",
    "-- --> ]]>",
]


def make_evaluation(labels: int, examples: int, names: list[str] | None = None) -> Evaluation:
    """About a third wrong; the hostile texts are the most confident mistakes."""
    rng = np.random.default_rng(7)
    gold = np.arange(examples) % labels
    predicted = np.where(rng.random(examples) < 0.3, (gold + 1) % labels, gold)
    predicted[: len(HOSTILE)] = (gold[: len(HOSTILE)] + 1) % labels
    scores = np.full((examples, labels), 0.3 / labels, np.float32)
    scores[np.arange(examples), predicted] = 0.7
    scores[np.arange(len(HOSTILE)), predicted[: len(HOSTILE)]] = 0.9
    texts = HOSTILE + [f"text number {n} 第{n}条" for n in range(len(HOSTILE), examples)]
    names = (names or []) + [f"label_{n}" for n in range(len(names or []), labels)]
    return Evaluation(texts, names, gold, scores, 0.5)


def make_label_sets() -> MultilabelEvaluation:
    """60 texts, the hostile ones first, with any of NAMES."""
    random = np.random.default_rng(1)
    scores = random.random((60, len(NAMES)), np.float32)
    texts = [*HOSTILE, *map(str, range(60 - len(HOSTILE)))]
    return MultilabelEvaluation(
        texts, NAMES, random.random(scores.shape) < scores, scores, scores > 0.4, 0.5
    )


def make_entities() -> TagEvaluation:
    """A person found in every second text, something else in the others."""
    outputs = {
        "entity": np.array([["person"], ["$x^2$ <b>"]] * 20),
        "start": np.zeros((40, 1), np.int32),
        "end": np.full((40, 1), 3, np.int32),
        "score": np.full((40, 1), 0.9, np.float32),
    }
    gold = [[Span(0, 3, "person")], []] * 20
    return TagEvaluation(["Ann sings", "<i> | `x`"] * 20, ["person"], gold, outputs, 0.1)


def make_values(rows: int = 200) -> RegressEvaluation:
    """Numbers from 0 to 5 with errors of about 1."""
    random = np.random.default_rng(1)
    gold = random.random(rows, np.float32) * 5
    return RegressEvaluation(
        [str(n) for n in range(rows)], gold, gold + random.normal(size=rows), 0.5
    )


def make_answers(count: int, context: str = "") -> QAEvaluation:
    """Every second answer is wrong, a quarter of the questions have none."""
    texts = [f"which | city {n}? | {context} I like Paris a | lot." for n in range(count)]
    begin = len(context) + 8
    answers, starts, gold = [], [], []
    for n in range(count):
        wrong, silent = n % 2 == 0, n % 4 > 1
        answers.append("" if silent != wrong else "like" if wrong and not silent else "Paris")
        starts.append(-1 if not answers[-1] else begin - (5 if answers[-1] == "like" else 0))
        gold.append([] if silent else ["Paris"])
    answered = np.array(answers, object)
    start = np.array(starts)
    end = np.where(start < 0, -1, start + [len(answer) for answer in answers])
    outputs = {
        "answer": answered,
        "start": start,
        "end": end,
        "score": np.linspace(0, 1, count, dtype=np.float32),
    }
    return QAEvaluation(texts, gold, outputs, 0.5)
