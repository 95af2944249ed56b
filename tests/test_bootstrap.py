"""The paired bootstrap and the exact test: against other code, and against simulated truth."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from sklearn.metrics import accuracy_score, f1_score

from tfpipe.data.spans import Span
from tfpipe.stats.bootstrap import (
    Difference,
    paired_bootstrap,
    percentile_interval,
    two_sided_p,
)
from tfpipe.stats.mcnemar import Agreement, count_agreement
from tfpipe.tasks import TASKS
from tfpipe.tasks.calibration.abstention_target import ABSTAIN
from tfpipe.tasks.classify.comparison import compare as compare_classify
from tfpipe.tasks.classify.evaluation import ClassificationEvaluation as Evaluation
from tfpipe.tasks.multilabel.evaluation import MultilabelEvaluation
from tfpipe.tasks.paired import Pair
from tfpipe.tasks.qa.evaluation import QAEvaluation
from tfpipe.tasks.regress.comparison import compare as compare_regress
from tfpipe.tasks.regress.evaluation import RegressEvaluation
from tfpipe.tasks.tag.evaluation import TagEvaluation

DIRECTIONS = TASKS["classify"].metrics
HELD_BACK = TASKS["classify"].optional_metrics
FIGURE_OF = {
    "accuracy": accuracy_score,
    "macro_f1": lambda gold, said: f1_score(gold, said, average="macro", zero_division=0),
    "weighted_f1": lambda gold, said: f1_score(gold, said, average="weighted", zero_division=0),
}


def draw_answers(
    rng: np.random.Generator, examples: int, labels: int, right_a: float, right_b: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gold labels and two models' answers, which are often right and wrong together."""
    gold = rng.integers(labels, size=examples)
    # One hardness for both: what one model has wrong is what the other has wrong, mostly.
    hardness = rng.random(examples)
    wrong = (gold + rng.integers(1, labels, size=examples)) % labels
    other = rng.random(examples) < 0.1
    a = np.where(hardness < right_a, gold, wrong)
    b = np.where(np.where(other, rng.random(examples), hardness) < right_b, gold, wrong)
    return gold.astype(str), a.astype(str), b.astype(str)


def classified(gold: np.ndarray, a: np.ndarray, b: np.ndarray) -> Pair:
    """The comparison of models whose label tables are in another order."""
    names = sorted({*gold.tolist(), *a.tolist(), *b.tolist()})

    def evaluation(said: np.ndarray, table: list[str]) -> Evaluation:
        column = {name: place for place, name in enumerate(table)}
        scores = np.eye(len(table), dtype=np.float32)[[column[name] for name in said]]
        columns = np.array([column[name] for name in gold])
        return Evaluation([""] * len(gold), table, columns, scores, 0.0)

    return compare_classify(evaluation(a, names), evaluation(b, names[::-1]))


def compare(
    answers: tuple[np.ndarray, np.ndarray, np.ndarray], **settings: float
) -> dict[str, Difference]:
    pair = classified(*answers)
    found = paired_bootstrap(
        pair.sizes, pair.a.statistics, pair.b.statistics, DIRECTIONS, **settings
    )  # type: ignore[arg-type]
    return {one.name: one for one in found}


def test_observed_figures_are_those_of_scikit_learn() -> None:
    gold, a, b = draw_answers(np.random.default_rng(1), 200, 7, 0.7, 0.8)
    # An answer that is no label of these texts, and a label that nobody answers.
    b[:3], gold[5:7] = "elsewhere", "never"
    found = compare((gold, a, b), resamples=100)
    assert list(found) == ["accuracy", "macro_f1", "weighted_f1"]
    for name, figure in FIGURE_OF.items():
        assert found[name].a == pytest.approx(figure(gold, a))
        assert found[name].b == pytest.approx(figure(gold, b))
        assert found[name].value == pytest.approx(figure(gold, b) - figure(gold, a))


@pytest.mark.parametrize("labels", [2, 40])
def test_figures_of_a_drawing_are_those_of_the_drawn_texts(labels: int) -> None:
    rng = np.random.default_rng(2)
    gold, a, b = draw_answers(rng, 60, labels, 0.6, 0.8)
    pair = classified(gold, a, b)
    triples = np.unique(np.stack([gold, a, b]), axis=1)
    assert triples.shape[1] == len(pair.sizes) <= 60
    counts = rng.multinomial(60, pair.sizes / 60, size=20)
    for side, figures in ((1, pair.a.statistics(counts)), (2, pair.b.statistics(counts))):
        for row, drawn in enumerate(counts):
            texts = np.repeat(triples, drawn, axis=1)
            for name, figure in FIGURE_OF.items():
                assert figures[name][row] == pytest.approx(figure(texts[0], texts[side]))


@pytest.mark.parametrize(
    "name",
    # Both F1 take a millisecond a drawing, and differ in the weights of the labels alone.
    ["accuracy", "macro_f1", pytest.param("weighted_f1", marks=pytest.mark.slow)],
)
def test_the_interval_is_that_of_scipy(name: str) -> None:
    answers = draw_answers(np.random.default_rng(3), 80, 3, 0.6, 0.75)
    figure = FIGURE_OF[name]

    def difference(gold: np.ndarray, a: np.ndarray, b: np.ndarray) -> float:
        return figure(gold, b) - figure(gold, a)

    # scikit-learn's F1 takes a millisecond a drawing.
    theirs = scipy.stats.bootstrap(
        [column.astype(int) for column in answers],
        difference,
        paired=True,
        vectorized=False,
        n_resamples=700,
        method="percentile",
        random_state=np.random.default_rng(4),
    )
    ours = compare(answers)[name]
    low, high = theirs.confidence_interval
    # Both draw: their ends move by a few hundredths of the width.
    assert [ours.low, ours.high] == pytest.approx([low, high], abs=0.15 * (high - low))
    rarer = (theirs.bootstrap_distribution <= 0).mean()
    assert ours.p_value == pytest.approx(min(1, 2 * rarer), abs=0.08)


def test_the_interval_holds_the_true_difference_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    settings = (4, 0.75, 0.80)
    truth = compare(draw_answers(rng, 100_000, *settings), resamples=100)
    assert truth["accuracy"].value == pytest.approx(0.05, abs=0.005)
    trials = 150
    held = dict.fromkeys(FIGURE_OF, 0)
    for seed in range(trials):
        found = compare(draw_answers(rng, 300, *settings), resamples=300, seed=seed)
        for name, one in found.items():
            held[name] += one.low <= truth[name].value <= one.high
    # The standard error of a coverage of 95 % over so many trials is 1.8 %.
    for name, times in held.items():
        assert 0.90 < times / trials < 0.99, name


def test_equal_models_are_seldom_told_apart() -> None:
    rng = np.random.default_rng(6)
    found = [
        compare(draw_answers(rng, 300, 4, 0.8, 0.8), resamples=400, seed=seed)["accuracy"].better
        for seed in range(150)
    ]
    assert 1 <= sum(one is not None for one in found) <= 18
    assert {"A", "B"} <= set(found)


def test_the_same_seed_gives_the_same_intervals() -> None:
    answers = draw_answers(np.random.default_rng(7), 100, 3, 0.6, 0.7)
    assert compare(answers, seed=3) == compare(answers, seed=3)
    assert compare(answers, seed=3) != compare(answers, seed=4)
    wide, narrow = (compare(answers, confidence=c)["accuracy"] for c in (0.99, 0.5))
    assert wide.low < narrow.low < narrow.high < wide.high


def test_which_way_is_better() -> None:
    def verdict(low: float, high: float, direction: str) -> str | None:
        return Difference("x", 0, 0, low, high, 1, 9, direction).better

    assert verdict(0.01, 0.02, "max") == verdict(-0.02, -0.01, "min") == "B"
    assert verdict(-0.02, -0.01, "max") == verdict(0.01, 0.02, "min") == "A"
    assert verdict(0, 0.02, "max") is verdict(-0.1, 0.1, "min") is None
    assert verdict(np.nan, np.nan, "max") is None


def test_figures_without_a_value_say_nothing() -> None:
    assert percentile_interval(np.array([np.nan, 1.0, 2.0, 3.0]), 0.5) == (1.5, 2.5)
    assert np.isnan(percentile_interval(np.array([np.nan]), 0.95)).all()


def test_p_says_when_the_interval_leaves_out_zero() -> None:
    drawings = np.random.default_rng(3).normal(1.0, size=999)
    p = two_sided_p(drawings)
    assert p == pytest.approx(2 * scipy.stats.norm.sf(1.0), abs=0.04)
    assert two_sided_p(-drawings) == p
    assert (
        percentile_interval(drawings, 1 - p * 1.02)[0]
        > 0
        > percentile_interval(drawings, 1 - p * 0.98)[0]
    )
    # Never 0, and no difference is none.
    assert two_sided_p(np.ones(999)) == two_sided_p(-np.ones(999)) == 2 / 1000
    assert two_sided_p(np.zeros(999)) == two_sided_p(np.full(999, np.nan)) == 1


def test_single_examples_are_drawn_as_groups_are() -> None:
    gold, a, b = draw_answers(np.random.default_rng(8), 400, 3, 0.6, 0.7)
    right_a, right_b = gold == a, gold == b
    one_each = paired_bootstrap(
        np.ones(400, int),
        lambda counts: {"accuracy": counts @ right_a / 400},
        lambda counts: {"accuracy": counts @ right_b / 400},
        DIRECTIONS,
    )[0]
    grouped = compare((gold, a, b))["accuracy"]
    assert one_each.value == pytest.approx(grouped.value)
    assert [one_each.low, one_each.high] == pytest.approx([grouped.low, grouped.high], abs=0.006)


# ---- the other tasks ------------------------------------------------------------------------


def multilabel(rng: np.random.Generator, gold: np.ndarray, rows: np.ndarray) -> object:
    active = gold ^ (rng.random(gold.shape) < 0.2)
    names = ["a", "b", "c", "never"]
    scores = np.where(active, 0.7, 0.2).astype(np.float32)
    return MultilabelEvaluation(
        [""] * len(rows), names, gold[rows], scores[rows], active[rows], 0.0
    )


def regress(rng: np.random.Generator, gold: np.ndarray, rows: np.ndarray) -> object:
    # Ties, so that middle ranks matter.
    value = np.round(gold + rng.normal(size=len(gold)), 1).astype(np.float32)
    return RegressEvaluation([""] * len(rows), gold[rows], value[rows], 0.0)


def tag(rng: np.random.Generator, gold: np.ndarray, rows: np.ndarray) -> object:
    text = "ann lee met bob in rome"
    spans = [Span(0, 7, "person"), Span(12, 15, "person"), Span(19, 23, "place")]
    chosen = gold ^ (rng.random(gold.shape) < 0.2)
    found = {
        "entity": np.array(
            [[s.type if on else "" for s, on in zip(spans, r, strict=True)] for r in chosen]
        ),
        "start": np.array([[s.start for s in spans]] * len(gold)),
        "end": np.array([[s.end for s in spans]] * len(gold)),
        "score": np.full(gold.shape, 0.5),
    }
    golds = [[s for s, on in zip(spans, gold[row], strict=True) if on] for row in rows]
    outputs = {name: values[rows] for name, values in found.items()}
    return TagEvaluation([text] * len(rows), ["person", "place"], golds, outputs, 0.0)


def qa(rng: np.random.Generator, gold: np.ndarray, rows: np.ndarray) -> object:
    answers = np.array(["red car", "a red car", "blue", "", "the car"])
    said = answers[rng.integers(5, size=len(gold))]
    golds = [[str(answers[gold[row]])] if answers[gold[row]] else [] for row in rows]
    outputs = {"answer": said[rows], "score": np.full(len(rows), 0.5)}
    return QAEvaluation([""] * len(rows), golds, outputs)


MAKERS = {
    "multilabel": (multilabel, lambda rng: rng.random((50, 4)) < [0.5, 0.3, 0.2, 0]),
    "regress": (regress, lambda rng: np.round(rng.normal(size=50), 1).astype(np.float32)),
    "tag": (tag, lambda rng: rng.random((50, 3)) < 0.5),
    "qa": (qa, lambda rng: rng.integers(5, size=50)),
}


def test_every_task_can_be_compared() -> None:
    # What a question of embed finds depends on the other examples: see test_embed.
    assert set(TASKS) == {"classify", "embed", *MAKERS}


@pytest.mark.parametrize("task", MAKERS)
def test_figures_of_drawings_are_those_of_the_drawn_examples(task: str) -> None:
    make, draw_gold = MAKERS[task]
    gold = draw_gold(np.random.default_rng(1))

    def sides(rows: np.ndarray) -> list:
        return [make(np.random.default_rng(seed), gold, rows) for seed in (2, 3)]

    every = np.arange(50)
    whole = TASKS[task].compare.load()(*sides(every))
    assert whole.sizes.sum() == 50
    assert whole.a.quality.shape == whole.b.right.shape == (50,)
    assert (whole.a.quality[whole.a.right] >= whole.a.quality.max() - 1e-12).all()
    assert len(whole.gold) == len(whole.a.answers) == len(whole.b.score) == 50
    # Drawn one by one: a subset of the examples has groups of its own.
    rng = np.random.default_rng(4)
    for rows in (every, *rng.integers(50, size=(10, 50))):
        drawn = TASKS[task].compare.load()(*sides(rows))
        for side, figures in zip(
            sides(rows), (drawn.a.statistics, drawn.b.statistics), strict=True
        ):
            found = figures(drawn.sizes[None])
            for name in set(found) & set(side.metrics):
                assert found[name][0] == pytest.approx(side.metrics[name]), name
            assert set(TASKS[task].metrics) - {"loss"} <= set(found)


@pytest.mark.parametrize("task", MAKERS)
def test_groups_are_drawn_as_their_examples(task: str) -> None:
    make, draw_gold = MAKERS[task]
    gold = draw_gold(np.random.default_rng(1))
    sides = [make(np.random.default_rng(seed), gold, np.arange(50)) for seed in (2, 3)]
    pair = TASKS[task].compare.load()(*sides)
    names = (
        ("pearson", "spearman") if task == "regress" else tuple(pair.a.statistics(pair.sizes[None]))
    )
    directions = dict.fromkeys(names, "max")
    found = paired_bootstrap(pair.sizes, pair.a.statistics, pair.b.statistics, directions, 400)
    for one in found:
        assert one.low <= one.value <= one.high or one.low == one.high
        assert abs(one.low) <= 1 and abs(one.high) <= 1


def test_numbers_that_rounding_alone_parts_are_the_same() -> None:
    rng = np.random.default_rng(1)
    gold = rng.normal(200, 80, size=50).astype(np.float32)
    value = (gold + rng.normal(0, 20, size=50)).astype(np.float32)
    noise = rng.normal(0, 1e-5, size=50).astype(np.float32)
    a, b = (RegressEvaluation([""] * 50, gold, v, 0.0) for v in (value, value + noise))
    pair = compare_regress(a, b)
    assert pair.a.answers == pair.b.answers
    assert pair.agreement.only_a == pair.agreement.only_b == 0
    other = compare_regress(a, RegressEvaluation([""] * 50, gold, value + 1, 0.0))
    assert other.agreement.only_a + other.agreement.only_b == 50


# ---- answers that are held back -------------------------------------------------------------


def held_back(scores: list[list[float]], gold: list[int], below: float | None) -> Evaluation:
    """Of the labels a, b and oos, the last of which says that no other fits."""
    outside = None if below is None else 2
    values = np.array(scores, np.float32)
    texts = [""] * len(gold)
    return Evaluation(texts, ["a", "b", "oos"], np.array(gold), values, 0.0, below, outside)


def test_figures_of_held_back_answers() -> None:
    rng = np.random.default_rng(1)
    gold = rng.integers(3, size=60).tolist()
    scores = [rng.dirichlet(np.ones(3), size=60) + np.eye(3)[gold] * 0.3 for _ in "ab"]
    a, b = held_back(scores[0], gold, 0.7), held_back(scores[1], gold, None)
    pair = compare_classify(a, b)
    found = [side.statistics(pair.sizes[None]) for side in (pair.a, pair.b)]
    for name in ("accuracy", "macro_f1", "in_scope_accuracy", "out_of_scope_recall"):
        assert found[0][name][0] == pytest.approx(a.metrics[name]), name
    served = a.outputs["label"]
    given = served != ABSTAIN
    right = served == np.array(a.label_names)[gold]
    assert found[0]["coverage"][0] == pytest.approx(given.mean())
    assert found[0]["selective_accuracy"][0] == pytest.approx(right[given].mean())
    # Without a threshold the label of texts that no other fits is an answer held back all the same.
    outside = b.predicted == 2
    assert found[1]["coverage"][0] == pytest.approx(1 - outside.mean())
    assert found[1]["out_of_scope_recall"][0] == pytest.approx(outside[np.array(gold) == 2].mean())
    assert set(HELD_BACK) <= set(found[0])


def test_holding_back_is_right_where_no_label_fits() -> None:
    gold = [0, 0, 2, 2]
    a = held_back([[0.9, 0.1, 0], [0.5, 0.4, 0.1], [0.6, 0.4, 0], [0, 0.1, 0.9]], gold, 0.8)
    b = held_back([[0.9, 0.1, 0], [0.5, 0.4, 0.1], [0.6, 0.4, 0], [0, 0.1, 0.9]], gold, None)
    pair = compare_classify(a, b)
    assert pair.a.answers == ["a", ABSTAIN, ABSTAIN, ABSTAIN] and pair.a.right.tolist() == [
        1,
        0,
        1,
        1,
    ]
    assert pair.b.answers == ["a", "a", "a", ABSTAIN] and pair.b.right.tolist() == [1, 1, 0, 1]
    # Both have the same label for each text, had none been held back.
    assert pair.agreement == Agreement(3, 0, 0, 1)
    assert len(pair.notes) == 1
    plain = compare_classify(b, b)
    assert plain.notes == [] and plain.a.answers == ["a", "a", "a", "oos"]
    assert not set(HELD_BACK) & set(plain.a.statistics(plain.sizes[None]))


def test_nothing_given_has_no_accuracy() -> None:
    one = held_back([[0.6, 0.4, 0], [0.3, 0.7, 0]], [0, 1], 0.9)
    pair = compare_classify(one, held_back([[0.95, 0.05, 0], [0, 1, 0]], [0, 1], 0.9))
    found = paired_bootstrap(pair.sizes, pair.a.statistics, pair.b.statistics, HELD_BACK, 100)
    reported = {difference.name: difference for difference in found}
    assert set(reported) == {"coverage", "selective_accuracy"}
    assert (
        np.isnan(reported["selective_accuracy"].a) and reported["selective_accuracy"].p_value == 1
    )
    assert reported["coverage"].value == 1


# scipy.stats.binomtest and R's binom.test agree on these.
@pytest.mark.parametrize(
    "only_a, only_b, p", [(0, 0, 1), (0, 5, 0.0625), (6, 0, 0.03125), (1, 7, 0.0703125)]
)
def test_the_exact_test(only_a: int, only_b: int, p: float) -> None:
    right_a = np.array([True] * (9 + only_a) + [False] * (only_b + 2))
    right_b = np.array([True] * 9 + [False] * only_a + [True] * only_b + [False] * 2)
    counts = count_agreement(right_a, right_b)
    assert (counts.both, counts.only_a, counts.only_b, counts.neither) == (9, only_a, only_b, 2)
    assert counts.p_value == pytest.approx(p)
    assert counts.least_p_value == pytest.approx(min(1, 2 * 0.5 ** (only_a + only_b)))
