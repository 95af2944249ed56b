"""The model card: the hub reads it, its values are the run's, hostile names break nothing."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from huggingface_hub import ModelCard

from tfpipe.config import to_yaml
from tfpipe.data.quality import DataReport
from tfpipe.data.unknown_tokens import ScriptTokens, UnknownTokens
from tfpipe.export import Export
from tfpipe.report.model_card import guess_language, render_card, write_card
from tfpipe.run_folder import Run
from tfpipe.tasks import TASKS

DATA = DataReport(
    [("truncated", "1.5% of train at --max-length 16"), ("train", "96 rows of /secret/a.tsv")],
    [("card", 90, 30), ("refund", 12, 30), ("weather", 30, 4)],
    ["train texts such as 'a secret text'"],
)
HOSTILE = [
    "a: b\n---\nlicense: mit",
    "--- #'\"{[*&!%@`|>",
    '<script>alert("x")</script> | **b** `c` [d](http://evil.example)',
    "\x00\x1b[31m\u202e\ud800",
    "退款：查询",
]


def parse(card: str) -> tuple[dict, str]:
    """Front matter and body."""
    opening, front, body = card.split("---\n", 2)
    assert opening == ""
    return yaml.safe_load(front), body


def write_again(run: Run, metrics: Any, data: DataReport) -> None:
    """Write the card of a run whose files were changed."""
    settings = json.loads((run.model / "config.json").read_text(encoding="utf-8"))["tfpipe"]
    write_card(run, metrics, data, settings, run.read_dev().joined())


@pytest.fixture(scope="module")
def run(published: tuple[Run, Export]) -> Run:
    return published[0]


def copy_of(run: Run, folder: Path, **values: object) -> Run:
    """The run's small files in another folder, with another configuration."""
    (folder / "model").mkdir(parents=True)
    for name in ("data.json", "metrics.json", "dev.jsonl"):
        shutil.copy(run.folder / name, folder / name)
    shutil.copy(run.model / "config.json", folder / "model" / "config.json")
    config = dataclasses.replace(run.config, **values)
    (folder / "config.yaml").write_text(to_yaml(config), encoding="utf-8")
    return Run(folder)


def test_training_writes_a_card_that_the_hub_reads(run: Run) -> None:
    card = ModelCard.load(run.model / "README.md")
    assert card.data.library_name == "transformers"
    assert card.data.pipeline_tag == "text-classification"
    assert card.data.license is None
    assert card.data.model_name == "run"
    results = {result.metric_name: result for result in card.data.eval_results or []}
    assert {name: result.metric_value for name, result in results.items()} == {
        name: value
        for name, value in run.metrics["dev"].items()
        if name not in ("loss", "examples")
    }
    assert results["macro_f1"].metric_type == "f1"
    assert results["accuracy"].dataset_split == "dev"
    assert results["accuracy"].dataset_name == "0.2 of messages.tsv"


def test_it_tells_counts_hashes_and_figures_and_no_texts(run: Run) -> None:
    card = (run.model / "README.md").read_text(encoding="utf-8")
    for part in ("train", "dev"):
        assert run.data[f"{part}_sha256"] in card
        assert f"| {part} | {run.data[f'{part}_rows']} |" in card
    assert f"| accuracy | {run.metrics['dev']['accuracy']:.4f} |" in card
    assert all(text not in card for text in run.read_dev().texts)
    assert str(Path(str(run.config.train)).parent) not in card


def test_limits(run: Run) -> None:
    card = render_card(run, run.metrics, DATA, None, {})
    assert "- truncated: 1.5% of train at --max-length 16.\n" in card
    assert "fewer than 20 examples: refund.\n" in card
    assert "fewer than 10 dev examples: weather.\n" in card
    assert "secret" not in card


def test_unknown_tokens(run: Run) -> None:
    def card_with(unknown: int) -> str:
        scripts = [ScriptTokens("latin", 60, 900, 0), ScriptTokens("han", 30, 100, unknown)]
        data = dataclasses.replace(DATA, unknown=UnknownTokens({"train": scripts}, "/secret/m"))
        return render_card(run, run.metrics, data, None, {})

    card = card_with(55)
    assert "- Unknown tokens: 5.5% of train (latin 0.0%, han 55.0%).\n" in card
    assert "does not cover texts of these scripts: han. " in card and "secret" not in card
    card = card_with(10)
    assert "- Unknown tokens: 1.0% of train (latin 0.0%, han 10.0%).\n" in card
    assert "does not cover" not in card
    assert "Unknown tokens" not in render_card(run, run.metrics, DATA, None, {})


def test_test_figures_are_results_too(run: Run, tmp_path: Path) -> None:
    other = copy_of(run, tmp_path / "b", test="/data/of mine/held out.tsv")
    metrics = other.metrics | {"test": {"accuracy": 0.25, "loss": 1.0, "examples": 8}}
    front, body = parse(render_card(other, metrics | {"dev": {"accuracy": 0.5}}, DATA, "zh", {}))
    assert front["language"] == "zh"
    _, result = front["model-index"][0]["results"]
    assert result["dataset"] == {"name": "held out.tsv", "type": "held-out.tsv", "split": "test"}
    assert result["metrics"] == [{"type": "accuracy", "value": 0.25, "name": "accuracy"}]
    assert "| accuracy | 0.5000 | 0.2500 |" in body


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_break_nothing(run: Run, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "".join(c for c in name if c not in "/\0" and c != "\ud800")
    other = copy_of(run, folder, model=name.replace("\ud800", ""))
    labels = [(name.replace("\ud800", ""), 5, 1), ("plain", 9, 2)]
    write_again(other, other.metrics, DataReport([], labels, []))
    card = (other.model / "README.md").read_text(encoding="utf-8")
    front, body = parse(card)
    assert set(front) == {
        *("library_name", "pipeline_tag", "tags", "metrics", "model-index"),
    }
    assert front["model-index"][0]["name"] == " ".join(
        "".join(c if c.isprintable() else " " for c in folder.name).split()
    )
    assert "<script" not in body and "](http" not in body
    table = [line for line in body.splitlines() if line.endswith("| 5 | 1 |")]
    assert len(table) == 1 and table[0].replace(r"\|", "").count("|") == 4
    assert ModelCard(card).data.eval_results


def test_half_a_character_in_a_label_is_no_reason_to_fail(run: Run, tmp_path: Path) -> None:
    other = copy_of(run, tmp_path / "b")
    write_again(other, other.metrics, DataReport([], [("a\ud800b", 3, 3)], []))
    assert "| a b | 3 | 3 |" in (other.model / "README.md").read_text(encoding="utf-8")


def test_the_hub_model_it_began_from_is_named(run: Run, tmp_path: Path) -> None:
    other = copy_of(run, tmp_path / "b", model="google/bert_uncased_L-2")
    assert (
        parse(render_card(other, other.metrics, DATA, None, {}))[0]["base_model"]
        == other.config.model
    )
    ours = copy_of(run, tmp_path / "d", model="multilingual")
    front = parse(render_card(ours, ours.metrics, DATA, None, {}))[0]
    assert front["base_model"] == "intfloat/multilingual-e5-small"
    local = copy_of(run, tmp_path / "c", model="/home/someone/bert")
    card = render_card(local, local.metrics, DATA, None, {})
    assert "base_model" not in card and "someone" not in card and "`bert`" in card


# Settings as config.json keeps them, and what the card makes of them.
SETTINGS_OF = {
    "classify": (
        ["card", "refund", "weather"],
        {"temperature": 1.25, "abstain_below": 0.625, "out_of_scope": "weather"},
        ["logits / 1.25", "below 0.625 are held back", "- weather is the label", "`__abstain__`"],
    ),
    "multilabel": (
        ["card", "refund", "weather"],
        {"thresholds": [0.25, 0.5, 0.75], "long_text": "head_tail"},
        ["| refund | 12 | 30 | 0.500 |", "beginning and end, 16 tokens"],
    ),
    "regress": (["value"], {"mean": 2.5, "deviation": 1.5}, ["`logits * 1.5 + 2.5`"]),
    "tag": (["O", "B-x", "I-x"], {}, ["legal sequence of BIO tags", "only their first 16"]),
    "qa": (
        ["start", "end"],
        {"may_be_silent": True, "threshold": 1.5, "longest_answer": 20},
        ["up to 20 tokens", "worth 1.500 nats", "windows of 16", "questions and their contexts"],
    ),
    "embed": ([], {"temperature": 0.1}, ["SentenceTransformer('model')", "over texts,"]),
}


@pytest.mark.parametrize("task", TASKS)
def test_every_task_has_a_card(run: Run, tmp_path: Path, task: str) -> None:
    labels, settings, reported = SETTINGS_OF[task]
    other = copy_of(run, tmp_path / "b", task=task, test="held out.tsv")
    model = other.data["model"] | {"labels": labels}
    other.write_json("data.json", other.data | {"model": model})
    config = json.loads((other.model / "config.json").read_text())
    config["tfpipe"] = {"task": task, **settings}
    (other.model / "config.json").write_text(json.dumps(config))
    # Test has a figure that dev has not, as of questions without answer, and one without a value.
    figures = dict.fromkeys(TASKS[task].metrics, 0.5)
    parts = {"dev": figures | {"examples": 9}, "test": figures | {"more": 0.25, "none": np.nan}}
    metrics = other.metrics | parts | {"test": parts["test"] | {"examples": 8}}
    write_again(Run(other.folder), metrics, DATA)

    card = ModelCard.load(other.model / "README.md")
    assert card.data.pipeline_tag == TASKS[task].hub.pipeline
    found = {(one.dataset_split, one.metric_name) for one in card.data.eval_results or []}
    names = set(TASKS[task].metrics) - {"loss"}
    assert found == {*(("dev", n) for n in names), *(("test", n) for n in names), ("test", "more")}
    for sentence in reported:
        assert sentence in card.content, sentence
    assert "| more |  | 0.2500 |" in card.content and "| nan" not in card.content
    assert f"{TASKS[task].hub.model_class}.from_pretrained" in card.content


def test_a_model_that_keeps_nothing_of_its_task_has_a_card(run: Run) -> None:
    card = render_card(run, run.metrics, DATA, None, {})
    assert "logits / 1`" in card and "__abstain__" not in card


@pytest.mark.parametrize("task", TASKS)
def test_every_task_is_called_as_transformers_calls_it(task: str) -> None:
    import transformers

    assert hasattr(transformers, TASKS[task].hub.model_class)
    known = transformers.pipelines.SUPPORTED_TASKS
    assert TASKS[task].hub.pipeline in known or TASKS[task].hub.library != "transformers"


def test_language() -> None:
    assert guess_language(["我的卡丢了，怎么办", "我要退款 please"]) == "zh"
    assert guess_language(["where is it", "我要退款 please"]) is None
    assert guess_language(["日本語の文章です", "漢字"]) is None
    assert guess_language([]) is None


def test_the_loading_lines_work(run: Run) -> None:
    card = (run.model / "README.md").read_text(encoding="utf-8")
    code = card.split("```python\n")[1].split("```")[0].replace("'model'", repr(str(run.model)))
    scope: dict = {}
    exec(code, scope)
    names = json.loads((run.model / "config.json").read_text())["id2label"]
    assert scope["model"].config.num_labels == len(names) == 3
