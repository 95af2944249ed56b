"""Checks of a data file: read as training reads it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from tfpipe.config import TrainConfig
from tfpipe.config.settings import flag_of
from tfpipe.data.examples import Columns, Examples
from tfpipe.data.fast_tokenizer import FastTokenizer
from tfpipe.data.quality import long_words, report_data
from tfpipe.data.read_examples import read_examples
from tfpipe.data.splits import PARTS, Splits, read_splits
from tfpipe.data.unknown_tokens import UnknownTokens, sum_by_script
from tfpipe.doctoring.findings import Command, Diagnosis, Finding, note, ok, problems_of
from tfpipe.doctoring.task_of_labels import find_task, is_labelled
from tfpipe.doctoring.vocabulary import describe_unknown, is_uncovered
from tfpipe.errors import UserError
from tfpipe.model.starter import starter_folder
from tfpipe.tasks import TASKS


def check_data(path: str, columns: Columns) -> Diagnosis:
    """Diagnose a data file with the default split of dev.

    It is read for the task of its format, or else of its labels. A file without labels is one to
    predict on. Anything that training would refuse is a problem.
    """
    file = Path(path)
    try:
        examples = read_examples(file, columns, labelled=columns.label is not None)
        if not is_labelled(file, examples):
            findings = [*_describe_decisions(examples), *_describe_unlabelled(examples)]
            return Diagnosis("data", path, findings)
    except UserError as error:
        return Diagnosis("data", path, problems_of(error, "file"))
    task, findings = find_task(file, examples)
    findings = [*_describe_decisions(examples), *findings]
    config = TrainConfig(task=task)
    try:
        parts = read_splits(path, config.dev, None, columns, config.seed, TASKS[task].rules)
        findings += _describe_parts(parts, config)
    except UserError as error:
        return Diagnosis("data", path, [*findings, *problems_of(error, "training")])
    words = ["python", "-m", "tfpipe.train", "--train", path, "--output", "runs/NAME"]
    words += ["--task", task] if task != TrainConfig().task else []
    for name, value in columns.names.items():
        words += [flag_of(name), value] if value is not None else []
    if columns.header is not None:
        words.append("--header" if columns.header else "--no-header")
    commands = [Command("to train on it", shlex.join(words))]
    if is_uncovered(findings):
        purpose = "to train on it with a vocabulary that is learnt from it"
        commands.append(Command(purpose, shlex.join([*words, "--model", "tiny"])))
    return Diagnosis("data", path, findings, commands)


def _describe_parts(parts: Splits, config: TrainConfig) -> Iterator[Finding]:
    """Yield the data report and the labels; raises UserError as training does."""
    rules = TASKS[config.task].rules
    try:
        tokenizer = FastTokenizer.from_folder(starter_folder())
    except UserError as error:
        yield from problems_of(error, "starter")
        return
    counts = {
        name: rules.count_tokens(part, tokenizer, config.max_length)
        for name, part in zip(PARTS, parts, strict=False)
    }
    cut = replace(parts.dev, path=f"{config.dev} of it, which training cuts off")
    report = report_data(
        parts.train,
        cut,
        counts["train"].full_lengths,
        config.max_length,
        rules,
        in_windows=counts["train"].inputs > len(parts.train),
    )
    for name, value in report.facts:
        yield ok(name, f"{name}: {value}.", value)
    scripts = {
        name: sum_by_script(part, counts[name].tokens, counts[name].unknown)
        for name, part in zip(PARTS, parts, strict=False)
    }
    yield describe_unknown(UnknownTokens(scripts, config.model))
    lost = rules.find_lost(parts.train, tokenizer, config.max_length)
    for warning in (*parts.label_notes, *report.warnings, *lost):
        yield note("data", f"{warning[0].upper()}{warning[1:]}.")
    summary = rules.describe_labels([*parts])
    if summary is None:
        rows = {label: in_train + in_dev for label, in_train, in_dev in report.labels}
        yield ok("labels", f"Training can learn {len(rows)} labels from it.", rows)
    else:
        yield ok(*summary)


def _describe_decisions(examples: Examples) -> Iterator[Finding]:
    for decision in examples.decisions:
        yield note("reading", f"{decision[0].upper()}{decision[1:]}.")


def _describe_unlabelled(examples: Examples) -> Iterator[Finding]:
    named = [name for name in (examples.columns.text, examples.columns.text_pair) if name]
    sentence = f"{len(examples):,} rows, columns {', '.join(named)}."
    yield ok("rows", sentence, len(examples))
    yield note("labels", "It has no labels: it can be predicted on, not trained on.")
    empty = sum(not text.strip() for text in (*examples.texts, *(examples.text_pairs or ())))
    if empty:
        yield note("empty", f"{empty:,} texts are empty.", empty)
    for error in long_words(examples):
        yield note("words", f"{error.wrong}: {error.found}.")
