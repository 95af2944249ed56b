"""report.html: sections by what there is, hostile texts shown and not run, both languages."""

from __future__ import annotations

import html
import json
import re
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest

from tests.support.evaluations import (
    HOSTILE,
    NAMES,
    make_answers,
    make_entities,
    make_evaluation,
    make_label_sets,
    make_values,
)
from tests.support.pages import Page
from tfpipe.data.examples import Columns, Examples
from tfpipe.data.near_labels import LabelNotes, NearLabels, Occurrences
from tfpipe.data.unknown_tokens import ScriptTokens, UnknownTokens
from tfpipe.report.confusion_svg import draw_matrix
from tfpipe.report.curves import curves_figures
from tfpipe.report.data_section import describe_data
from tfpipe.report.i18n import Wording
from tfpipe.report.images import pixels, svg
from tfpipe.report.page import MOST_CHARACTERS, cut, format_cost, render_page, write_page
from tfpipe.report.run_outputs import measured_metrics
from tfpipe.report.run_report import Report
from tfpipe.report.sections import MeasuredMetrics
from tfpipe.report.slices import slices_by_length, slices_by_script, slices_by_source
from tfpipe.report.templates import format_number
from tfpipe.tasks.calibration.selective import (
    held_out_metrics,
    selective_metrics,
    threshold_for_scope,
)
from tfpipe.tasks.classify.evaluation import ClassificationEvaluation as Evaluation
from tfpipe.tasks.sections import Confusion

HISTORY = [
    {"epoch": 1, "loss": None, "dev_loss": 1.2, "dev_accuracy": 0.5, "dev_macro_f1": 0.4},
    {"epoch": 2, "loss": 0.7, "dev_loss": 0.9, "dev_accuracy": 0.7, "best": True},
    {"epoch": 3, "loss": 0.4, "dev_loss": 1.0, "dev_accuracy": 0.6, "best": False},
]
ENGLISH = Wording("en")
SETTINGS = {"temperature": 1.3}


def make_report(evaluation: Evaluation, language: str = "en") -> Report:
    """A page with every section."""
    names = evaluation.label_names
    outside = NAMES.index("plain") if "plain" in names else None
    evaluation = replace(evaluation, abstain_below=0.8, outside=outside)
    labels = [names[gold] for gold in evaluation.gold]
    columns = Columns("text", None, "label")
    dev = Examples(evaluation.texts, None, labels, "<i>.csv", columns)
    train = replace(dev, labels=[names[0]] * len(labels), path="train \u202e.csv")
    goodness = evaluation.example_metric()
    lengths = np.arange(len(labels)) + 3
    sources = ["<b>app</b>", "邮件"] * (len(labels) // 2)
    return Report(
        title="<b>run</b>",
        task="classify",
        language=language,
        made="2026-11-22",
        dev=measured_metrics(evaluation),
        data=describe_data(
            *({"train": train, "dev": dev}, [(name, 40 + n, n) for n, name in enumerate(names)]),
            *(lengths, 128, {"dev": goodness.values}, goodness.name),
        ),
        history=HISTORY,
        best_by="accuracy",
        slices=[
            slices_by_length(goodness.values, lengths, "accuracy"),
            slices_by_source(goodness.values, sources, "accuracy"),
        ],
        cost={"seconds": 75.0, "examples_per_second": 105.25, "parameters": 7, "model_bytes": 9e6},
        command="python -m tfpipe.train --train 'my file.csv'",
        settings="task: classify\ntext: <script>\n",
        hashes={"train": "ab" * 32},
        environment={"python": "3.11"},
        next_commands=["python -m tfpipe.export runs/x --to exports/x"],
        **evaluation.sections(None, SETTINGS),
    )


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        (
            "en",
            [
                "removed from 12 labels of a<b>.csv",
                "(total 1, first in rows 9) and “\u2068good\u2069” (total 4, first in rows 1, 2, 3)"
                " differ in case, width or spaces alone",
                "(total 1, first in rows 99) is one edit from",
                "2 labels are nearly equal to other ones: “\u2068<i>\u2069” / “\u2068good\u2069”",
            ],
        ),
        (
            "zh",
            [
                "已从 a<b>.csv 的 12 个标签中去除",
                "（共 4 条，最先见于第 1、2、3 行）仅大小写、全半角或空格不同",
                "只差一个字符",
                "2 个标签与另一个标签几乎相同",
            ],
        ),
    ],
)
def test_what_is_odd_about_labels(language: str, expected: list[str]) -> None:
    good = Occurrences("good", 4, [1, 2, 3])
    near = [
        NearLabels(good, Occurrences("<i>", 1, [9]), typo=False),
        NearLabels(good, Occurrences("goood", 1, [99]), typo=True),
    ]
    report = make_report(make_evaluation(6, 120, NAMES), language)
    notes = LabelNotes({"a<b>.csv": 12}, near)
    page = html.unescape(render_page(replace(report, data=replace(report.data, label_notes=notes))))
    assert [words for words in expected if words not in page] == []


def report_interval(evaluation: Evaluation) -> float:
    return measured_metrics(evaluation).intervals["accuracy"].low


def shown(report: Report) -> Page:
    return Page(render_page(report))


@pytest.mark.parametrize("language", ["en", "zh"])
def test_hostile_texts_are_shown_and_run_nothing(tmp_path, language):
    evaluation = make_evaluation(6, 120, NAMES)
    write_page(tmp_path / "report.html", make_report(evaluation, language))
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    page = Page(html)
    assert page.count("script") == 1 and page.count("img") == 0
    # The figures on top are the page's only <b>.
    assert page.count("b") == sum(a.get("class") == "tile" for _, a in page.tags)
    assert HOSTILE[0] in page.text and HOSTILE[2][:MOST_CHARACTERS] in page.text
    assert all(name in page.text for name in NAMES)
    assert "python -m tfpipe.train --train 'my file.csv'" in page.text
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert ("zh-CN" if language == "zh" else "en") == page.tags[0][1]["lang"]


def test_every_texts_cell_keeps_its_direction_to_itself():
    page = shown(make_report(make_evaluation(6, 120, NAMES)))
    cells = [a for tag, a in page.tags if tag == "td" and a.get("class") == "text"]
    assert len(cells) >= 40 and all(a["dir"] == "auto" for a in cells)


def test_the_page_fetches_nothing():
    page = shown(make_report(make_evaluation(6, 120, NAMES)))
    links = [
        attributes[name] or ""
        for _, attributes in page.tags
        for name in ("src", "href", "xlink:href", "action", "srcset", "data")
        if name in attributes
    ]
    assert links and all(link.startswith("#") for link in links)
    assert page.count("link") == page.count("iframe") == page.count("object") == 0
    policies = [a["content"] for _, a in page.tags if "http-equiv" in a]
    assert len(policies) == 1 and policies[0].startswith("default-src 'none'; img-src data:;")


def test_links_lead_to_every_section():
    page = shown(make_report(make_evaluation(3, 60)))
    sections = {a["id"] for tag, a in page.tags if tag == "section"}
    assert {a["href"][1:] for tag, a in page.tags if tag == "a"} == sections
    assert len(sections) == 13


def test_long_reports_are_folded_and_short_ones_open():
    def folded(page: Page) -> int:
        return sum(tag == "details" and "open" not in a for tag, a in page.tags)

    # The settings are always folded.
    assert folded(shown(make_report(make_evaluation(3, 60)))) == 1
    assert folded(shown(make_report(make_evaluation(30, 60)))) == 3


def test_the_page_stays_small_with_150_labels(tmp_path):
    evaluation = make_evaluation(150, 3_000, [*NAMES, "long " * 500])
    report = make_report(replace(evaluation, texts=['"' * 200_000] * 3_000))
    write_page(tmp_path / "report.html", replace(report, test=measured_metrics(evaluation)))
    assert 100_000 < (tmp_path / "report.html").stat().st_size < 2_000_000


def test_a_perfect_run_is_doubted():
    gold = np.array([0, 1, 0, 1])
    scores = np.eye(2, dtype=np.float32)[gold]
    evaluation = Evaluation(["a", "b", "c", "d"], ["no", "yes"], gold, scores, 0.0)
    page = shown(replace(make_report(evaluation), history=[], next_commands=[]))
    assert "No example of dev was answered wrongly." in page.text
    assert "Learning curves" not in page.text and "Mixed up most often" not in page.text
    assert "Every answer was right." in page.text and "up to 75.0%" in page.text


def test_the_top_says_what_how_well_and_what_to_watch():
    evaluation = make_evaluation(3, 300)
    text = " ".join(shown(make_report(evaluation)).text.split())
    accuracy = f"{evaluation.metrics['accuracy']:.1%}"
    plain = Report("x", "classify", measured_metrics(evaluation), label_count=3)
    assert f"one of 3 labels, and is right for {accuracy} of the texts" in shown(plain).text
    assert "one of 3 labels or no answer: it answers for 2.0% of the texts" in text
    assert "Measured on 300 examples that it was not trained on. Trained on 300 examples." in text
    low = report_interval(evaluation)
    assert f"{low:.1%}–" in text and "percentile bootstrap" in text
    assert "300 dev examples are in train, too: the metrics are too high." in text
    assert "1,000 times" in text


def test_no_better_than_the_majority_is_said():
    gold = np.array([0] * 90 + [1] * 10)
    scores = np.tile(np.float32([0.9, 0.1]), (100, 1))
    evaluation = Evaluation([str(n) for n in range(100)], ["no", "yes"], gold, scores, 0.3)
    report = Report("x", "classify", measured_metrics(evaluation), **evaluation.sections())
    text = shown(report).text
    assert "No better than always answering “\u2068no\u2069”" in text
    assert "“\u2068yes\u2069” is taken for “\u2068no\u2069” in 100% of its texts" in text


def test_half_pairs_of_json_are_written(tmp_path):
    evaluation = make_evaluation(3, 30)
    texts = [json.loads('"half \\ud83d pair"'), *evaluation.texts[1:]]
    write_page(tmp_path / "report.html", make_report(replace(evaluation, texts=texts)))
    assert "half ? pair" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_figures_alone_make_a_page():
    for task in ("classify", "regress"):
        values = {"accuracy": 0.5, "pearson": 0.5, "mae": 1.0, "examples": 7}
        page = shown(Report("x", task, MeasuredMetrics(values)))
        assert {a["id"] for tag, a in page.tags if tag == "section"} == {"figures", "run"}


def test_multilabel_shows_thresholds_and_calibration():
    evaluation = make_label_sets()
    sections = evaluation.sections(evaluation, {"thresholds": [0.4] * len(NAMES)})
    page = shown(Report("x", "multilabel", measured_metrics(evaluation), **sections))
    assert {"classes", "calibration", "mistakes"} <= {a.get("id") for _, a in page.tags}
    assert "given from score" in page.text and "F1 on test" in page.text
    assert all(name in page.text for name in NAMES)


def test_regress_shows_points_and_largest_errors():
    evaluation = make_values(2000)
    page = shown(Report("x", "regress", measured_metrics(evaluation), **evaluation.sections()))
    assert "Largest errors" in page.text and "off by" in page.text and "1,500 of 2,000" in page.text


def test_tag_shows_types_and_what_was_found():
    evaluation = make_entities()
    page = shown(Report("x", "tag", measured_metrics(evaluation), **evaluation.sections()))
    assert "entities of 2 types" in page.text and "100.0% of those that are there" in page.text
    assert "$x^2$ <b>: <i>" in page.text and "entities of the type in dev" in page.text


def test_qa_shows_figures_with_intervals_and_mistakes():
    evaluation = make_answers(40)
    page = shown(Report("x", "qa", measured_metrics(evaluation), **evaluation.sections()))
    text = " ".join(page.text.split())
    assert "says that there is none: 50.0% of the answers are exactly right" in text
    assert "accuracy without answer0.500" in text and "F1 with answer0.500" in text
    assert "20 answers without a right word" in text and "word for word" in text
    low = measured_metrics(evaluation).intervals["no_answer_accuracy"].low
    assert 0.2 < low < 0.45 and f"{low:.3f}–" in text
    marks = [a["class"] for tag, a in page.tags if tag == "mark"]
    assert "gold " in marks and " predicted" in marks
    assert page.count("i") == page.count("script") - 1 == 0


def test_a_page_of_ten_thousand_long_questions_stays_small(tmp_path):
    evaluation = make_answers(10_000, '<b onclick="x">' * 200)
    write_page(
        tmp_path / "report.html",
        Report("x", "qa", measured_metrics(evaluation), **evaluation.sections()),
    )
    assert (tmp_path / "report.html").stat().st_size < 300_000


def test_held_back_answers_are_told_of_as_new_texts_will_have_them():
    random = np.random.default_rng(3)
    gold = random.integers(4, size=400)
    scores = random.dirichlet(np.full(4, 0.3), size=400).astype(np.float32)
    scores[np.arange(400), gold] += 1.5 * (gold < 3)
    scores /= scores.sum(axis=1, keepdims=True)
    evaluation = Evaluation(
        [f"text {n}" for n in range(400)], ["a", "b", "c", "oos"], gold, scores, 0.3
    )
    threshold = threshold_for_scope(replace(evaluation, outside=3).answered)
    evaluation = replace(evaluation, abstain_below=threshold, outside=3)
    found = evaluation.abstention(evaluation)
    expected = held_out_metrics(evaluation.answered)
    assert found.chosen == found.test == selective_metrics(evaluation.answered, threshold)
    assert found.expected == expected and found.out_of_scope == "oos"
    report = Report("x", "classify", measured_metrics(evaluation), **evaluation.sections())
    text = " ".join(shown(report).text.split())
    assert f"one of 3 labels or none: {expected.in_scope_accuracy:.1%} of the texts" in text
    both = f"{found.chosen.in_scope_accuracy:.1%}{expected.in_scope_accuracy:.1%}"
    assert f"texts in scope that get their label{both}" in text
    assert "to expect" in text and "out-of-scope recall" in text
    # Without texts out of scope there is a promise about the answers that are given, and no more.
    plain = replace(evaluation, outside=None)
    assert plain.abstention().expected is None
    text = shown(Report("x", "classify", measured_metrics(plain), **plain.sections())).text
    assert "labels or no answer: it answers for" in text and "to expect" not in text
    assert replace(plain, abstain_below=None).abstention() is None


def test_the_matrix_parses_and_tells_each_cell():
    evaluation = make_evaluation(6, 120, NAMES)
    matrix = draw_matrix(Confusion(NAMES, evaluation.confusion, ()), ENGLISH)
    root = ElementTree.fromstring(str(matrix.svg))
    words = [node.text for node in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "退款_查询" in words and '<script>"x"' in words
    titles = [node.text for node in root.iter("{http://www.w3.org/2000/svg}title")]
    assert len(titles) == matrix.cells == np.count_nonzero(evaluation.confusion)
    assert matrix.svg == draw_matrix(Confusion(NAMES, evaluation.confusion, ()), ENGLISH).svg
    numbers = sum(int(word) for word in words if word and re.fullmatch(r"\d+", word))
    assert numbers == 120


def test_a_large_matrix_keeps_the_labels_and_cells_with_most():
    counts = np.random.default_rng(2).integers(1, 9, size=(210, 210))
    counts[:, 7] = counts[7] = 0
    names = [f"label_{n}" for n in range(210)]
    matrix = draw_matrix(Confusion(names, counts, ()), ENGLISH)
    assert matrix.large and matrix.labels == 200 and "label_7<" not in matrix.svg
    assert matrix.cells == 4000 < matrix.all_cells and len(matrix.svg) < 1_200_000


def test_curves_show_losses_and_shares_but_no_counts():
    rows = [{**row, "dev_examples": 300.0} for row in HISTORY]
    words = "".join(map(svg, curves_figures(rows, ENGLISH)))
    assert ">accuracy<" in words and ">macro F1<" in words and ">train<" in words
    assert ">examples<" not in words
    assert words.count(">kept<") == 2
    assert all(pixels(one).std() > 1 for one in curves_figures(HISTORY[:1], ENGLISH))
    assert words == "".join(map(svg, curves_figures(rows, ENGLISH)))
    assert "准确率" in svg(curves_figures(rows, Wording("zh"))[1])


def test_no_legend_lies_over_the_points():
    for figure in curves_figures(HISTORY, ENGLISH):
        (axes,) = figure.axes
        pixels(figure)  # lays the legend out
        box = axes.get_legend().get_window_extent()
        assert not box.overlaps(axes.get_window_extent()) and box.y0 >= 0


def test_pictures_follow_the_page_colours():
    words = "".join(map(svg, curves_figures(HISTORY, ENGLISH)))
    assert "var(--line-1)" in words and "currentColor" in words
    assert "#000000" not in words and "#2b6cb0" not in words and "<!--" not in words
    ids = re.findall(r'\bid="([^"]*)"', words)
    assert {name.split("-")[0] for name in ids} == {"losses", "metrics"}
    assert len(ids) == len(set(ids))


def test_numbers_costs_and_long_texts():
    numbers = [1234, 0.91537, 105.25, 22_713_216.0, None, float("nan"), "12 / 33", True]
    assert [format_number(number) for number in numbers] == [
        *("1,234", "0.915", "105.2", "22,713,216", "–", "–", "12 / 33", "True")
    ]
    costs = [("seconds", 7322.0), ("seconds", 75.0), ("seconds", 7.25), ("model_bytes", 9.14e7)]
    assert [format_cost(value, name, ENGLISH) for name, value in costs] == [
        *("2 h 2 min", "1 min 15 s", "7.2 s", "91.4 MB")
    ]
    assert cut("short", ENGLISH) == "short"
    long = cut("x" * (MOST_CHARACTERS + 1), ENGLISH)
    assert long.endswith(f"({MOST_CHARACTERS + 1:,} characters in all)")


def test_unknown_tokens_are_told_by_script() -> None:
    report = make_report(make_evaluation(4, 40, NAMES[:4]))

    def page_with(unknown: int, model: str = "starter", language: str = "en") -> str:
        scripts = [ScriptTokens("latin", 60, 900, 0), ScriptTokens("han", 30, 100, unknown)]
        data = replace(report.data, unknown=UnknownTokens({"train": scripts}, model))
        return shown(replace(report, data=data, language=language)).text

    warned = "The model's vocabulary does not cover these texts"
    noted = "The model's vocabulary lacks some of the tokens"
    text = page_with(55)
    assert f"{warned}, and the unknown token is read in place of many tokens: 5.5% of train" in text
    assert "(Latin 0.0%, Han (Chinese) 55.0%). Train with --model multilingual" in text
    assert "Chinese or multilingual BERT" in text and "5.5%: 55 of 1,000 tokens" in text
    assert "Train on more texts" in page_with(55, "tiny")
    assert "55.0%). Train with --model tiny, whose" in page_with(55, "multilingual")
    text = page_with(10)
    assert noted in text and warned not in text
    text = page_with(2)
    assert noted not in text and warned not in text and "0.2%: 2 of 1,000 tokens" in text
    text = page_with(55, language="zh")
    assert "5.5%（1,000 个词元中的 55 个）" in text and "汉字 55.0%" in text


def test_slices_by_script_are_named_in_the_language() -> None:
    report = make_report(make_evaluation(4, 40, NAMES[:4]))
    texts = ["我的卡"] * 20 + ["card"] * 20
    examples = Examples(texts, None, None, "a.tsv", Columns())
    right = np.array([0.0] * 20 + [1.0] * 20)
    slices = [slices_by_script(right, examples, "accuracy")]
    text = shown(replace(report, slices=slices)).text
    assert "By script" in text and "Texts in the script Han (Chinese) do worse" in text
    text = shown(replace(report, slices=slices, language="zh")).text
    assert "按文字" in text and "汉字文本明显较差" in text and "拉丁字母" in text
