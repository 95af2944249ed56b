"""The report room: pictures, TensorBoard events and the HTML page, hostile texts included."""

from __future__ import annotations

import io
import json
import warnings
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import matplotlib.image
import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugin_util import markdown_to_safe_html

from tfpipe.report.board import Board, mistakes_table
from tfpipe.report.images import pixels, png, svg
from tfpipe.report.names import can_draw, shorten
from tfpipe.report.page import MOST_CHARACTERS, Report, cut, format_number, render_page, write_page
from tfpipe.report.plots import (
    confusion_figure,
    curves_figure,
    picture_names,
    worst_pairs,
)
from tfpipe.tasks.evaluation import Evaluation
from tfpipe.training.observer import Step

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
HISTORY = [
    {"epoch": 1, "loss": None, "dev_loss": 1.2, "dev_accuracy": 0.5, "dev_macro_f1": 0.4},
    {"epoch": 2, "loss": 0.7, "dev_loss": 0.9, "dev_accuracy": 0.7, "best": True},
    {"epoch": 3, "loss": 0.4, "dev_loss": 1.0, "dev_accuracy": 0.6, "best": False},
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


def make_report(evaluation: Evaluation) -> Report:
    return Report(
        title="<b>run</b>",
        task="classify",
        command=["python", "-m", "tfpipe.train", "--train", "my file.csv"],
        data=[("train rows", 1234), ("train file", "<i>.csv")],
        label_counts=[(name, 40 + n, n) for n, name in enumerate(evaluation.label_names)],
        warnings=["2 texts have two labels: '<script>' is a (1) and b (1)."],
        figures=evaluation.figures,
        dev=evaluation,
        history=HISTORY,
        environment={"python": "3.11"},
        training={"examples_per_second": 105.25},
        next_commands=["python -m tfpipe.export runs/x --to exports/x"],
    )


class Page(HTMLParser):
    """What a browser would make of a page: tags with attributes, and the text it shows."""

    def __init__(self, html: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data

    def count(self, name: str) -> int:
        return sum(tag == name for tag, _ in self.tags)


def read_events(folder) -> EventAccumulator:
    events = EventAccumulator(str(folder), size_guidance={"tensors": 0})
    events.Reload()
    return events


@pytest.mark.parametrize("labels", [2, 3, 41, 150])
def test_png_decodes_and_grows_with_labels(labels):
    evaluation = make_evaluation(labels, 300, NAMES[:2])
    picture = matplotlib.image.imread(io.BytesIO(png(confusion_figure(evaluation))))
    height, width, _ = picture.shape
    assert min(height, width) >= (15 * labels if labels > 40 else 300)
    assert max(height, width) < 4_000


def test_one_wrong_text_in_a_hundred_is_seen():
    gold = np.repeat([0, 1], 100)
    predicted = gold.copy()
    predicted[0] = 1
    evaluation = Evaluation([""] * 200, ["no", "yes"], gold, np.eye(2)[predicted], 0.0)
    red, green, blue = np.moveaxis(pixels(confusion_figure(evaluation)).astype(int), -1, 0)
    orange = (red > green + 40) & (red > blue + 40)
    # Its cell is 80 pixels wide and high; the colour key below is a fifth of that.
    assert orange.sum() > 5_000


def test_pixels_are_the_png():
    figure = confusion_figure(make_evaluation(3, 60))
    picture = matplotlib.image.imread(io.BytesIO(png(figure)))[..., :3]
    np.testing.assert_array_equal(pixels(figure), np.rint(picture * 255).astype(np.uint8))


def test_label_limit_keeps_the_labels_with_errors():
    gold = np.repeat(np.arange(30), 3)
    predicted = gold.copy()
    predicted[3 * 17] = 22
    evaluation = Evaluation(
        [str(n) for n in range(90)],
        [f"label_{n}" for n in range(30)],
        gold,
        np.eye(30, dtype=np.float32)[predicted],
        0.1,
    )
    words = svg(confusion_figure(evaluation, label_limit=4))
    assert ">label_17<" in words and ">label_22<" in words and ">label_29<" not in words
    assert "the 4 of 30 labels" in words


def test_svg_holds_names_as_text_and_parses():
    evaluation = make_evaluation(6, 120, NAMES)
    picture = svg(confusion_figure(evaluation, browser=True))
    root = ElementTree.fromstring(picture)
    words = {node.text for node in root.iter("{http://www.w3.org/2000/svg}text")}
    assert set(NAMES) <= words
    ids = [node.attrib["id"] for node in root.iter() if "id" in node.attrib]
    assert ids and all(name.startswith("confusion-") for name in ids)
    assert len(ids) == len(set(ids))


def test_svg_is_deterministic_and_follows_the_page_colours():
    evaluation = make_evaluation(45, 120, NAMES)
    first = svg(confusion_figure(evaluation, browser=True))
    assert first == svg(confusion_figure(evaluation, browser=True))
    assert "currentColor" in first and "#000000" not in first and "<!--" not in first
    assert svg(curves_figure(HISTORY)) == svg(curves_figure(HISTORY))


def test_names_without_a_font_become_numbers_and_nothing_warns():
    strange = "\U0010fffd secret"
    assert not can_draw(strange) and can_draw("plain")
    assert picture_names(["plain", strange]) == ["plain", "#1"]
    assert picture_names(["plain", strange], browser=True) == ["plain", strange]
    evaluation = make_evaluation(3, 30, ["plain", strange, "退款"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        png(confusion_figure(evaluation))
        assert strange in svg(confusion_figure(evaluation, browser=True))


def test_worst_pairs_are_ordered_by_count_then_share():
    gold = np.array([0] * 10 + [1] * 4 + [2] * 4)
    predicted = np.array([1, 1, 2, 2, 2] + [0] * 5 + [1, 1, 2, 2] + [2] * 4)
    evaluation = Evaluation([""] * 18, ["a", "b", "c"], gold, np.eye(3)[predicted], 0.0)
    pairs = [(p.gold, p.predicted, p.count, p.support) for p in worst_pairs(evaluation, 5)]
    assert pairs == [(0, 2, 3, 10), (1, 2, 2, 4), (0, 1, 2, 10)]
    assert len(worst_pairs(evaluation, 1)) == 1


def test_curves_show_losses_and_shares_but_no_counts():
    words = svg(curves_figure([{**row, "dev_examples": 300.0} for row in HISTORY]))
    assert ">accuracy<" in words and ">macro_f1<" in words and ">train<" in words
    assert ">examples<" not in words
    assert words.count(">kept<") == 2
    assert len(png(curves_figure(HISTORY[:1]))) > 1_000


def test_shorten():
    assert shorten("a\n\tb\x00c\u202e  d", 20) == "a bc d"
    assert shorten("x" * 50, 10) == "x" * 9 + "…"
    assert shorten("half \ud83d pair", 20) == "half \ufffd pair"


def test_board_writes_tidy_tags(tmp_path):
    folder = tmp_path / "logs"
    evaluation = make_evaluation(45, 200, NAMES)
    first = Step(1, 2, 1, 1.5, 3e-5, 0.5, examples=32, tokens=448, places=512, seconds=0.25)
    with Board(folder) as board:
        assert not folder.exists()
        for step in (1, 2):
            board.on_step(replace(first, step=step, loss=1.5 / step))
        board.on_epoch({"step": 2}, evaluation)
    events = read_events(folder)
    assert set(events.Tags()["tensors"]) == {
        *("train/loss", "train/learning_rate", "train/gradient_norm", "train/padding_share"),
        *("train/examples_per_second", "train/tokens_per_second", "train/data_wait_share"),
        *("dev/accuracy", "dev/macro_f1", "dev/weighted_f1", "dev/loss"),
        *("dev/confusion_matrix", "dev/mistakes"),
    }
    losses = [
        (e.step, float(tf.make_ndarray(e.tensor_proto))) for e in events.Tensors("train/loss")
    ]
    assert losses == [(1, 1.5), (2, 0.75)]
    rate = events.Tensors("train/tokens_per_second")[0].tensor_proto
    assert float(tf.make_ndarray(rate)) == 448 / 0.25
    (accuracy,) = events.Tensors("dev/accuracy")
    assert accuracy.step == 2
    assert float(tf.make_ndarray(accuracy.tensor_proto)) == pytest.approx(
        evaluation.figures["accuracy"]
    )
    width, height, picture = tf.make_ndarray(events.Tensors("dev/confusion_matrix")[0].tensor_proto)
    assert tf.io.decode_png(picture).shape == (int(height), int(width), 3)


def resident_kilobytes() -> int:
    status = Path("/proc/self/status")
    if not status.exists():
        pytest.skip("only Linux tells a process's memory so")
    return int(status.read_text().split("VmRSS:")[1].split()[0])


def test_curves_of_thousands_of_steps_take_no_memory(tmp_path):
    random = np.random.default_rng(0)
    first = Step(1, 9000, 1, 1.5, 3e-5, 0.5, examples=32, tokens=448, places=512, seconds=0.25)

    def take_steps(begin: int, end: int) -> int:
        for step in range(begin, end):
            loss, norm, seconds = random.random(3).tolist()
            board.on_step(replace(first, step=step, loss=loss, gradient_norm=norm, seconds=seconds))
        return resident_kilobytes()

    with Board(tmp_path / "logs") as board:
        before = take_steps(0, 500)
        assert take_steps(500, 3000) - before < 2000


def test_board_without_values_leaves_nothing(tmp_path):
    with Board(tmp_path / "logs"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_hostile_texts_stay_in_their_cells_of_the_text_panel():
    evaluation = make_evaluation(6, 120, NAMES)
    mistakes = evaluation.mistakes(20)
    table = mistakes_table(mistakes)
    assert max(map(len, table.splitlines())) < 3_000
    page = Page(markdown_to_safe_html(table))
    assert page.count("table") == 1
    assert page.count("tr") == 21 and page.count("td") == 4 * 20
    assert {tag for tag, _ in page.tags} <= {"table", "thead", "tbody", "tr", "th", "td", "br"}
    assert "<script>alert(1)</script>" in page.text
    assert "[link](http://evil.example)" in page.text
    assert mistakes_table([]) == "No mistakes."


def test_page_with_hostile_texts_shows_them_and_runs_nothing(tmp_path):
    evaluation = make_evaluation(6, 120, NAMES)
    write_page(tmp_path / "report.html", make_report(evaluation))
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    page = Page(html)
    assert page.count("script") == 1 and page.count("img") == 0
    # The four figures on top are the page's only <b>.
    assert page.count("b") == 4
    assert HOSTILE[0] in page.text and HOSTILE[2] in page.text
    assert all(name in page.text for name in NAMES)
    assert "python -m tfpipe.train --train 'my file.csv'" in page.text
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)


def test_page_fetches_nothing():
    page = Page(render_page(make_report(make_evaluation(6, 120, NAMES))))
    links = [
        attributes[name] or ""
        for _, attributes in page.tags
        for name in ("src", "href", "xlink:href", "action", "srcset", "data")
        if name in attributes
    ]
    assert links and all(link.startswith(("#", "data:image/png;base64,")) for link in links)
    assert page.count("link") == page.count("iframe") == page.count("object") == 0
    policies = [a["content"] for _, a in page.tags if "http-equiv" in a]
    assert len(policies) == 1 and policies[0].startswith("default-src 'none'; img-src data:;")


def test_page_links_lead_somewhere():
    page = Page(render_page(make_report(make_evaluation(3, 60))))
    ids = {attributes["id"] for _, attributes in page.tags if "id" in attributes}
    jumps = [a["href"][1:] for tag, a in page.tags if tag == "a"]
    assert len(jumps) == 7 and set(jumps) <= ids


def test_page_stays_small_with_150_labels(tmp_path):
    evaluation = make_evaluation(150, 3_000, [*NAMES, "long " * 500])
    texts = ['"' * 200_000] * 3_000
    report = make_report(replace(evaluation, texts=texts))
    write_page(tmp_path / "report.html", replace(report, test=evaluation))
    assert 100_000 < (tmp_path / "report.html").stat().st_size < 2_000_000


def test_page_of_a_perfect_run():
    gold = np.array([0, 1, 0, 1])
    scores = np.eye(2, dtype=np.float32)[gold]
    evaluation = Evaluation(["a", "b", "c", "d"], ["no", "yes"], gold, scores, 0.0)
    page = Page(render_page(replace(make_report(evaluation), history=[], next_commands=[])))
    assert "No text of dev was answered wrongly." in page.text
    assert "Learning curves" not in page.text and "mixed up" not in page.text
    assert "4 of 4 texts right" in page.text


def test_page_writes_half_pairs_of_json(tmp_path):
    evaluation = make_evaluation(3, 30)
    texts = [json.loads('"half \\ud83d pair"'), *evaluation.texts[1:]]
    broken = replace(evaluation, texts=texts)
    write_page(tmp_path / "report.html", make_report(broken))
    assert "half ? pair" in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "half" in mistakes_table(broken.mistakes(20))


def test_format_number_and_cut():
    numbers = [1234, 0.91537, 105.25, 22_713_216.0, None, float("nan"), "12 / 33", True]
    shown = [format_number(number) for number in numbers]
    assert shown == ["1,234", "0.915", "105.2", "22,713,216", "–", "–", "12 / 33", "True"]
    assert cut("short") == "short"
    long = cut("x" * (MOST_CHARACTERS + 1))
    assert long.endswith(f"({MOST_CHARACTERS + 1:,} characters in all)")
