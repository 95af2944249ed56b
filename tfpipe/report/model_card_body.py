"""Markdown of the model card: training data, labels, metrics, limits, how to load the model.

It may be published, so it has no text of the data and no path of this machine.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PureWindowsPath
from typing import Any

from tfpipe.data.quality import DataReport
from tfpipe.data.splits import is_share
from tfpipe.data.unknown_tokens import WARNED, show_script
from tfpipe.model.sentence_transformers import CODE as SENTENCE_TRANSFORMERS
from tfpipe.model.transformers_code import MEAN_POOLING
from tfpipe.run_folder import Run
from tfpipe.tasks import TASKS
from tfpipe.tasks.calibration.abstention_target import ABSTAIN
from tfpipe.text_display import count_of

# Treatment of longer texts, by the setting `long_text`.
LONGER = {
    "head": "Longer inputs are cut: only their first {} tokens are read.",
    "head_tail": "Longer inputs are cut: their beginning and end, {} tokens in all, are read.",
    "windows": "Longer inputs are read in overlapping windows of {} tokens.",
}
# Facts of the data report that are numbers only.
FACTS = (
    *("duplicates in train", "contradictions in train", "dev texts also in train"),
    *("tokens a text", "truncated", "read in several windows"),
)
FEW_TRAIN_ROWS, FEW_DEV_ROWS, MOST_LABELS = 20, 10, 200
HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")


def card_body(
    run: Run, metrics: Mapping[str, Any], data: DataReport, settings: Mapping[str, Any]
) -> Iterator[str]:
    """Yield the card's Markdown line by line.

    Args:
        run: The run, with its model saved.
        metrics: The content of metrics.json.
        data: Result of the data check.
        settings: The task's settings in the model's config.json.
    """
    name, config = _markdown(run.folder.resolve().name), run.config
    inputs = "pairs of texts" if run.data["pairs"] else "texts"
    inputs = TASKS[config.task].hub.inputs or inputs
    yield f"# {name}"
    yield ""
    yield (
        f"A BERT model for the task `{config.task}` over {inputs}, trained with tfpipe"
        f" {metrics['environment']['tfpipe']} from {_base(config.model)};"
        f" {metrics['model']['parameters']:,} parameters, inputs of up to {config.max_length}"
        " tokens."
    )
    yield ""
    yield from _trained_on(run, metrics, data)
    yield from _labels(run, data, settings)
    yield from _metrics(metrics)
    yield from _limits(run, data, settings)
    yield from _how_to_load(run, settings)


def _trained_on(run: Run, metrics: Mapping[str, Any], data: DataReport) -> Iterator[str]:
    yield "## Trained on"
    yield ""
    yield "| part | examples | file | SHA-256 of texts and labels |"
    yield "|---|---:|---|---|"
    for part in ("train", "dev"):
        rows, digest = run.data[f"{part}_rows"], run.data[f"{part}_sha256"]
        yield f"| {part} | {rows:,} | {_markdown(source_of(run, part))} | `{digest}` |"
    if metrics.get("test"):
        rows = metrics["test"]["examples"]
        yield f"| test | {rows:,} | {_markdown(source_of(run, 'test'))} | |"
    yield ""
    training = metrics["train"]
    early = ", stopped early" if training["stopped_early"] else ""
    assert run.config.epochs is not None
    epochs = f"{training['epochs']} of {count_of(run.config.epochs, 'epoch')}{early}"
    yield (
        f"{epochs}, the weights of epoch {training['best_epoch']}; {training['steps']:,} steps of"
        f" {run.config.batch_size} examples, learning rate {run.config.learning_rate:.3g}, seed"
        f" {run.config.seed}, products in {run.config.precision}."
    )
    yield ""


def _labels(run: Run, data: DataReport, settings: Mapping[str, Any]) -> Iterator[str]:
    if not data.labels:
        return
    # In the order of the head's columns, which is that of the sorted names.
    thresholds = dict(
        zip(run.data["model"]["labels"], settings.get("thresholds") or (), strict=False)
    )
    more = f", of which the {MOST_LABELS} most frequent" if data.labels[MOST_LABELS:] else ""
    yield f"{len(data.labels):,} labels{more}:"
    yield ""
    yield "| label | rows in train | in dev |" + (" given from a score of |" if thresholds else "")
    yield "|---|---:|---:|" + ("---:|" if thresholds else "")
    for label, train, dev in data.labels[:MOST_LABELS]:
        threshold = f" {thresholds[label]:.3f} |" if label in thresholds else ""
        yield f"| {_markdown(label)} | {train:,} | {dev:,} |{threshold}"
    yield ""


def _metrics(metrics: Mapping[str, Any]) -> Iterator[str]:
    parts = [part for part in ("dev", "test") if metrics.get(part)]
    yield "## Metrics"
    yield ""
    yield f"| | {' | '.join(parts)} |"
    yield "|---|" + "---:|" * len(parts)
    # Not every split has every metric: those of questions without answer need such questions.
    for name in dict.fromkeys(name for part in parts for name in metrics[part]):
        values = (metrics[part].get(name) for part in parts)
        yield f"| {name} | {' | '.join(map(_number, values))} |"
    yield ""


def _number(value: float | None) -> str:
    if value is None or value != value:
        return ""
    return f"{value:,}" if isinstance(value, int) else f"{value:.4f}"


def _limits(run: Run, data: DataReport, settings: Mapping[str, Any]) -> Iterator[str]:
    yield "## Limits"
    yield ""
    yield (
        "- The best epoch was chosen on dev, so the metrics on dev are slightly higher than on"
        " new texts."
    )
    task = TASKS[run.config.task].task_class.restore(run.data["model"]["labels"], settings)
    yield from (f"- Chosen on dev, too: {_markdown(choice)}." for choice in task.choices)
    outside = settings.get("out_of_scope")
    if outside is not None:
        yield (
            f"- {_markdown(outside)} is the label of texts that no other label fits; the served"
            f" model answers `{ABSTAIN}` instead."
        )
    windows = TASKS[run.config.task].always_windows
    how = "windows" if windows else settings.get("long_text", "head")
    yield f"- {LONGER[how].format(run.config.max_length)}"
    yield from (f"- {name}: {value}." for name, value in data.facts if name in FACTS)
    yield from _unknown(data)
    rare = [label for label, train, _ in data.labels if train < FEW_TRAIN_ROWS]
    if rare:
        yield f"- Learnt from fewer than {FEW_TRAIN_ROWS} examples: {_few(rare)}."
    unsure = [label for label, _, dev in data.labels if dev < FEW_DEV_ROWS]
    if unsure:
        yield f"- Measured on fewer than {FEW_DEV_ROWS} dev examples: {_few(unsure)}."
    yield "- No license was stated for the data; ask its owner before passing the model on."
    yield ""


def _unknown(data: DataReport) -> Iterator[str]:
    """Yield the unknown tokens; without the model's name, which may be a path."""
    if data.unknown is None:
        return
    yield f"- Unknown tokens: {data.unknown}."
    uncovered = data.unknown.scripts_above(WARNED)
    if uncovered:
        shown = ", ".join(map(show_script, uncovered))
        yield (
            f"- The vocabulary does not cover texts of these scripts: {shown}. Answers to them rest"
            " on few of their tokens; another model should be trained for them."
        )


def _how_to_load(run: Run, settings: Mapping[str, Any]) -> Iterator[str]:
    hub, name = TASKS[run.config.task].hub, slug(run.folder.resolve().name)
    yield "## How to load it"
    yield ""
    if (run.model / "adapter").is_dir():
        yield "transformers loads the weights without the adapter in `adapter`, which cannot be"
        yield "merged into them; `tfpipe.load` of the folder that this one lies in reads both."
        yield ""
    elif hub.library == "sentence-transformers":
        yield from SENTENCE_TRANSFORMERS
    else:
        yield "```python"
        yield f"from transformers import AutoTokenizer, {hub.model_class}"
        yield ""
        yield "folder = 'model'  # this folder, or its name on the hub"
        yield "tokenizer = AutoTokenizer.from_pretrained(folder)"
        yield f"model = {hub.model_class}.from_pretrained(folder)"
        yield "```"
        yield ""
        if run.config.pooling == "mean":
            yield from MEAN_POOLING
    yield hub.reading.format(**{**hub.defaults, **settings})
    yield ""
    yield "As a SavedModel that takes raw strings, answers as measured above, and"
    yield "is served by TensorFlow Serving or `python -m serving.server`; `RUN` is the folder that"
    yield "this one lies in:"
    yield ""
    yield "```sh"
    yield f"python -m tfpipe.export RUN --to models/{name}"
    yield "```"


def source_of(run: Run, part: str) -> str:
    """Return the file name of a split, without its folders."""
    path = str(getattr(run.config, part))
    if part == "dev" and is_share(path):
        return f"{path} of {source_of(run, 'train')}"
    return PureWindowsPath(path).name


def _base(model: str) -> str:
    known = {
        "starter": "the starter checkpoint",
        "multilingual": "the multilingual checkpoint (multilingual-e5-small)",
        "tiny": "random weights",
    }
    shown = model if HUB_NAME.fullmatch(model) else PureWindowsPath(model).name
    return known.get(model, f"`{one_line(shown).replace('`', '')}`")


def _few(labels: Sequence[str]) -> str:
    more = f" and {len(labels) - 20:,} more" if len(labels) > 20 else ""
    return ", ".join(map(_markdown, labels[:20])) + more


def one_line(text: str) -> str:
    """Return a text without line breaks and other unprintable characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split()) or "unnamed"


def _markdown(text: str) -> str:
    """Escape a text for Markdown and HTML, in tables too."""
    shown = one_line(text).replace("&", "&amp;").replace("<", "&lt;")
    return re.sub(r"([\\`*_{}\[\]()#+!|>~$-])", r"\\\1", shown)


def slug(text: str) -> str:
    """Return a name for the hub: letters, digits, `.`, `_` and `-`."""
    return re.sub(r"[^\w.-]+", "-", Path(text).name).strip("-.") or "model"
