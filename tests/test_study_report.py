"""A study's page and its pictures: every state of a study, hostile texts, any size."""

from __future__ import annotations

import math
import random
import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.support.pages import Page
from tfpipe.report.images import svg
from tfpipe.tasks.sections import Baseline
from tuning.report.baseline_comparison import baseline_warning, defaults_note, describe_defaults
from tuning.report.formatting import format_score, format_time, format_value
from tuning.report.page import StudyReport, render_report, write_report
from tuning.report.parallel_coordinates import BELOW_AXIS, parallel_coordinates_figure
from tuning.report.plots import histories_figure, normalized_score, progress_figure, score_range
from tuning.space import Parameter
from tuning.trial_result import COMPLETED, FAILED, RUNNING, STOPPED, TrialResult

HOSTILE = (
    '<script>alert(1)</script><img src="http://evil.example/x"> \u202e مرحبا 学习 {{ report }}'
)
PARAMETERS = (
    Parameter("learning_rate", "float", low=1e-5, high=1e-3, log=True),
    Parameter("batch_size", "choice", (8, 16, 32)),
    Parameter("epochs", "int", (1, 2, 3, 4)),
    Parameter("loss", "choice", ("plain", "focal", None, HOSTILE)),
    Parameter("focal_gamma", "float", low=0.5, high=5.0, when={"loss": ("focal",)}),
)


def make_trial(
    number: int, score: float | None, status: str = COMPLETED, **more: Any
) -> TrialResult:
    rng = random.Random(number)
    values: dict[str, Any] = {
        "learning_rate": 10 ** rng.uniform(-5, -3),
        **{one.name: rng.choice(one.values) for one in PARAMETERS[1:4]},
    }
    if values["loss"] == "focal":
        values["focal_gamma"] = rng.uniform(0.5, 5.0)
    history = [{"epoch": epoch, "dev_accuracy": score, "dev_loss": score} for epoch in (1, 2)]
    basis = TrialResult(number, status, values, score, seconds=60.0, epochs=2, history=history)
    return replace(basis, **more)


def make_report(results: list[TrialResult], **more: Any) -> StudyReport:
    report = StudyReport(
        title="<b>study</b>",
        objective="dev.accuracy",
        direction="max",
        algorithm="bayesian",
        results=results,
        planned=max(len(results), 1),
        parameters=PARAMETERS,
        command=["python", "-m", "tuning.search", "--train", "my file.csv"],
        seconds=7300.0,
        jobs=2,
        price=0.0,
        best_yaml="learning_rate: 3.0e-05\n",
        environment={"python": "3.11"},
        next_commands=["python -m tfpipe.train --config studies/x/best.yaml"],
    )
    return replace(report, **more)


def shown(report: StudyReport) -> str:
    """The text between the style above and the script below."""
    return Page(render_report(report).split("<body>")[1].split("<script>")[0]).text


MIXED = [
    make_trial(1, 0.80),
    make_trial(2, None, FAILED, reason="ran out of memory", log=["last line"], history=[]),
    make_trial(3, 0.60, STOPPED, reason="below the median", epochs_saved=4),
    make_trial(4, 0.90, spread=0.01, scores=[0.89, 0.91]),
    make_trial(5, 0.85, RUNNING),
    make_trial(6, 0.895, continues=1),
]


def test_page_tells_the_best_and_the_rest():
    page = Page(render_report(make_report(MIXED, planned=8, price=2.0)))
    for words in (
        "best dev.accuracy0.9000trial 4",
        "trials ended5 of 8",
        "3 completed, 1 stopped, 1 failed, 1 running",
        "time2 h 1 min",
        "epochs saved425% of the epochs planned",
        "The study has not ended: 5 of 8 trials have.",
        "spread over seeds (±0.0100): trial 6; its place below it may be luck.",
        "the mean of 2 seeds with a standard deviation of 0.0100",
        "0.9000 ± 0.0100",
        "1e-05 to 0.001, on a log scale",
        "only where loss is focal",
        "It takes 8 configurations with a score; the study has 3.",
        "Permutation importance (scikit-learn) of a random forest",
        "cost0.20 (0.10 trial hours at 2.00)",
        "time lost in failed trials1 min 0 s (17%)",
        "python -m tuning.search --train 'my file.csv'",
        "learning_rate: 3.0e-05",
    ):
        assert words in re.sub(r"\s*\n\s*", "", page.text), words
    assert page.count("tr") > len(MIXED) and page.count("svg") == 3
    jumps = [a["href"][1:] for tag, a in page.tags if tag == "a"]
    ids = {attributes["id"] for _, attributes in page.tags if "id" in attributes}
    assert len(jumps) == 8 and set(jumps) <= ids


OTHER = Baseline("<i>other</i>", "accuracy", 0.19)


def test_the_defaults_and_the_baseline_stand_in_the_table():
    values = {"learning_rate": 1e-4, "batch_size": 32, "epochs": 1, "loss": "plain"}
    defaults = values | {"focal_gamma": 2.0}
    parameters = [replace(one, default=defaults[one.name]) for one in PARAMETERS]
    first = make_trial(1, 0.75, values=values, defaults=True)
    results = [first, make_trial(2, 0.8), make_trial(3, 0.5)]
    report = make_report(results, baseline=OTHER, parameters=tuple(parameters))
    words = re.sub(r"\s*\n\s*", "", shown(report))
    assert "training's defaults0.7500trial 1: the defaults of tfpipe.trainbaseline" in words
    assert "baseline0.1900always answering '<i>other</i>'" in words
    assert "1 defaultscompleted0.7500" in words
    assert "–baseline0.1900always answering <i>other</i>" in words
    assert "settingbest valuetraining's defaultsearched" in words
    assert "No trial beats" not in words
    # An older study, and a task without a baseline.
    words = shown(make_report(MIXED))
    assert "defaults" not in words and "baseline" not in words


@pytest.mark.parametrize("direction", ["max", "min"])
def test_trials_that_beat_nothing_are_warned_of(direction: str):
    def verdicts(*scores: float | None, baseline: float = 0.5) -> tuple[str | None, str | None]:
        results = [make_trial(n, score, defaults=n == 1) for n, score in enumerate(scores, 1)]
        found = Baseline("other", "accuracy", baseline)
        return (
            baseline_warning(results, direction, "dev.accuracy", found),
            defaults_note(results, direction, "dev.accuracy", ()),
        )

    better, worse = (0.6, 0.4) if direction == "max" else (0.4, 0.6)
    assert verdicts(worse, better) == (None, None)
    warning, note = verdicts(0.5, worse)
    assert warning and warning.startswith(
        "No trial beats the baseline: always answering 'other' reaches dev.accuracy 0.5000, the"
        " best trial 0.5000."
    )
    assert note and note.startswith(
        "No trial beats trial 1, dev.accuracy 0.5000: the defaults of tfpipe.train. More --trials"
    )
    assert verdicts(better, worse) == (None, note.replace("0.5000", f"{better:.4f}"))
    # Equal to the defaults is not better; one trial alone cannot be; a failed one has no score.
    assert verdicts(better, better)[1] and verdicts(better, None)[1] is None
    assert verdicts(better)[1] is None
    assert verdicts(None, better) == (None, None) and verdicts(None, worse)[0]
    # Both stand at the top of the page.
    results = [make_trial(1, 0.5, defaults=True), make_trial(2, worse)]
    page = shown(make_report(results, direction=direction, baseline=replace(OTHER, value=0.5)))
    assert "No trial beats the baseline" in page and "No trial beats trial 1" in page


def test_defaults_that_the_space_does_not_hold_are_named():
    values = {"learning_rate": 5e-4, "batch_size": 16}
    parameters = (
        Parameter("learning_rate", "float", low=1e-5, high=5e-4, log=True, default=0.002665),
        Parameter("batch_size", "choice", (8, 16), default=32),
        Parameter("focal_gamma", "float", low=3.0, high=4.0, when={"loss": ("x",)}, default=2.0),
    )
    first = make_trial(1, 0.5, values=values, defaults=True)
    words = (
        "the defaults of tfpipe.train, as near as the space allows (learning_rate 0.0005 for"
        " 0.002665, batch_size 16 for 32)"
    )
    assert describe_defaults(parameters, values) == words
    note = defaults_note([first, make_trial(2, 0.4)], "max", "dev.accuracy", parameters)
    assert note and words in note
    assert describe_defaults((), values) == "the defaults of tfpipe.train"


def test_importance_has_its_fit_in_words():
    trials = [make_trial(number, None) for number in range(1, 41)]
    trials = [replace(one, score=math.log10(one.values["learning_rate"])) for one in trials]
    page = Page(render_report(make_report(trials)))
    fit = re.search(r"explains about (\d+)% of the variance .*R² ([\d.]+), 40", page.text)
    assert fit and int(fit[1]) > 80 and "cannot be estimated" not in page.text
    assert page.text.index("Importance") < page.text.index("R² lost when shuffled")


@pytest.mark.parametrize("direction", ["max", "min"])
@pytest.mark.parametrize(
    "results",
    [
        [],
        [make_trial(1, None, RUNNING, history=[])],
        [make_trial(1, 0.5)],
        [make_trial(number, None, FAILED, reason=None) for number in range(1, 4)],
        [make_trial(number, 0.5) for number in range(1, 12)],
        [make_trial(number, 0.0) for number in range(1, 4)],
        [make_trial(1, math.nan, spread=math.nan, scores=[math.nan]), make_trial(2, math.inf)],
        [make_trial(1, 1e300), make_trial(2, -1e300), make_trial(3, 1e-300)],
        [make_trial(number, 0.1 * number if number < 10 else 1e9) for number in range(1, 11)],
        [make_trial(1, 0.5, seconds=math.inf, values={})],
    ],
    ids=["none", "running", "one", "failed", "equal", "zero", "nan", "huge", "diverged", "bare"],
)
def test_every_state_of_a_study_has_a_page(results, direction):
    report = make_report(results, direction=direction, planned=12)
    html = render_report(report)
    text = shown(report)
    assert not re.search(r"\b([Nn]a[Nn]|inf|None|undefined)\b", text)
    assert "How this was made" in text
    for picture in re.findall(r"<svg.*?</svg>", html, re.DOTALL):
        ElementTree.fromstring(picture)
        assert not re.search(r"\b(nan|inf)\b", picture)


def test_without_a_score_nothing_is_best():
    failed = shown(make_report([make_trial(1, None, FAILED, reason="boom")]))
    assert "No trial has a score" in failed and "Every trial failed" in failed
    assert "No trial has started yet." in shown(make_report([]))
    running = shown(make_report([make_trial(1, 0.9, RUNNING)]))
    assert "no trial has a score" in running


def test_hostile_texts_stay_texts():
    trials = [
        make_trial(1, 0.5, values={"loss": HOSTILE, "learning_rate": 1e-4}),
        make_trial(2, None, FAILED, reason=HOSTILE, log=[HOSTILE, "half \ud83d", "\x1b[31m\x00"]),
        make_trial(3, 0.4, STOPPED, reason="$\\frac{1}{$"),
    ]
    more = {"title": HOSTILE, "best_yaml": HOSTILE, "next_commands": [HOSTILE]}
    more |= {"command": [HOSTILE], "environment": {"path": HOSTILE}}
    html = render_report(make_report(trials, **more))
    page = Page(html)
    assert page.count("script") == 1 and page.count("img") == 0
    assert page.text.count("<script>alert(1)") >= 7 and "{{ report }}" in page.text
    for name in ("src", "href", "xlink:href", "action", "srcset"):
        links = [attributes[name] or "" for _, attributes in page.tags if name in attributes]
        assert all(link.startswith("#") for link in links)
    (policy,) = [a["content"] or "" for _, a in page.tags if "http-equiv" in a]
    assert policy.startswith("default-src 'none'; img-src data:;")


def test_page_of_300_trials_of_12_parameters_stays_small(tmp_path: Path):
    parameters = [Parameter(f"parameter_{n}", "float", low=0.0, high=1.0) for n in range(8)]
    rng = random.Random(2)
    trials = []
    for number in range(1, 301):
        values = {one.name: rng.random() for one in parameters}
        failed = number % 3 == 0
        trial = make_trial(number, None if failed else rng.random(), FAILED if failed else STOPPED)
        trials.append(
            replace(
                trial,
                values={**trial.values, **values},
                reason="<" * 5_000,
                log=['"' * 3_000] * 50 if failed else [],
                history=[{"epoch": n, "dev_accuracy": rng.random()} for n in range(200)],
            )
        )
    report = make_report(trials, parameters=[*PARAMETERS[:4], *parameters])
    write_report(tmp_path / "report.html", report)
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    assert 500_000 < (tmp_path / "report.html").stat().st_size < 2_000_000
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert page.count("details") == 101 and page.count("tr") > 300


def test_columns_without_content_are_left_out():
    plain = shown(make_report([make_trial(1, 0.5)]))
    assert "continues" not in plain and "reason" not in plain and "deviation over" not in plain
    mixed = shown(make_report(MIXED))
    assert "continues" in mixed and "reason" in mixed and "deviation over seeds" in mixed


@pytest.mark.parametrize(("direction", "line"), [("max", [0.8, 0.8, 0.9, 0.9, 0.9]), ("min", None)])
def test_best_so_far_follows_the_direction(direction, line):
    figure = progress_figure(MIXED, "dev.accuracy", direction)
    heights = figure.axes[0].lines[0].get_ydata().tolist()
    assert heights == (line or [0.8, 0.6, 0.6, 0.6, 0.6])
    (marks,) = [one for one in figure.axes[0].lines if one.get_label() == "failed (1)"]
    assert list(marks.get_xdata()) == [2]
    assert list(marks.get_ydata()) == [figure.axes[0].get_ylim()[0]]


def test_one_diverged_trial_does_not_press_the_others_together():
    scores = [0.3, 0.32, 0.35, 0.4, 500.0]
    assert score_range(scores, "min")[1] < 1 and score_range(scores, "max") == (0.3, 500.0)
    assert score_range([-500.0, 0.8, 0.82, 0.85, 0.9], "max")[0] > 0
    assert (
        normalized_score(500.0, (0.3, 0.6), "min") == 0
        and normalized_score(0.3, (0.3, 0.6), "min") == 1
    )
    low, high = score_range([0.5], "max")
    assert low < 0.5 < high


def test_parallel_lines_lie_where_their_values_do():
    trials = [
        make_trial(1, 0.9, values={"learning_rate": 1e-4, "loss": "plain"}),
        make_trial(2, 0.5, values={"learning_rate": 1e-5, "loss": "focal", "focal_gamma": 5.0}),
    ]
    parameters = [PARAMETERS[0], PARAMETERS[3], PARAMETERS[4]]
    figure = parallel_coordinates_figure(trials, parameters, "dev.accuracy", "max")
    lines = [path.vertices[::3, 1].tolist() for path in figure.axes[0].collections[0].get_paths()]
    poor, good = lines
    assert poor[0] == 0 and good[0] == pytest.approx(0.5)
    assert poor[1] == pytest.approx(1 / 3, abs=0.05) and good[1] == pytest.approx(0.045, abs=0.045)
    # None leaves its axis, but for the score of a parameter that was not used.
    assert all(0 <= height <= 1 for height in (*poor, *good[:2]))
    assert poor[2] == 1 and good[2] == pytest.approx(BELOW_AXIS, abs=0.02)
    assert (poor[-1], good[-1]) == (0, 1)
    assert ">not used<" in svg(figure) and ">failed<" not in svg(figure)
    failed = [*trials, make_trial(3, None, FAILED)]
    assert ">failed<" in svg(parallel_coordinates_figure(failed, parameters, "dev.loss", "min"))


@pytest.mark.parametrize("count", [1, 2, 12])
def test_parallel_pictures_parse_and_repeat(count):
    parameters = [Parameter(f"$p_{n}$", "int", low=1, high=9 + n) for n in range(count)]
    trials = [
        make_trial(n, n / 10, values={one.name: n for one in parameters}) for n in range(1, 9)
    ]
    first = svg(parallel_coordinates_figure(trials, parameters, "dev.accuracy", "max"))
    assert first == svg(parallel_coordinates_figure(trials, parameters, "dev.accuracy", "max"))
    root = ElementTree.fromstring(first)
    words = [node.text for node in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "$p_0$" in words and "dev.accuracy" in words


def test_learning_curves_take_the_objective_and_skip_gaps():
    history = [{"epoch": 3, "dev_macro_f1": 0.5}, {"epoch": 4}, {"epoch": 5, "dev_macro_f1": 0.7}]
    history += [{"epoch": 6, "dev_macro_f1": None}, {"epoch": 7, "dev_macro_f1": math.nan}]
    trials = [make_trial(1, 0.7, history=history), make_trial(2, 0.6)]
    figure = histories_figure(trials, "dev.macro_f1", "max")
    assert figure is not None
    (line,) = figure.axes[0].lines
    assert line.get_xdata().tolist() == [3, 5] and line.get_color() == "black"
    assert histories_figure(trials, "dev.pearson", "max") is None


def test_edges_of_the_search_are_told():
    def note(**values: Any) -> bool:
        page = Page(render_report(make_report([make_trial(1, 0.5, values=values)])))
        return "the best lies at the" in page.text

    assert note(batch_size=32) and not note(batch_size=16)
    assert note(learning_rate=1.1e-5) and not note(learning_rate=1e-4)
    assert not note(loss="plain")


def test_wording():
    values = [3e-5, 16, True, None, "", 0.1 + 0.2, math.nan, 1e6]
    shown = ["3e-05", "16", "true", "none", "(empty)", "0.3", "–", "1e+06"]
    assert [format_value(value) for value in values] == shown
    times = [0.04, 9.96, 59.7, 725, 7200, 200_000, math.nan]
    spoken = ["0.0 s", "10 s", "1 min 0 s", "12 min 5 s", "2 h 0 min", "2 d 7 h", "–"]
    assert [format_time(seconds) for seconds in times] == spoken
    scores = [format_score(score) for score in (0.91237, -1.5, 12345.6, None, math.inf)]
    assert scores == ["0.9124", "-1.5000", "12346", "–", "–"]
