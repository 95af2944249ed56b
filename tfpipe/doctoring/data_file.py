"""Checks of a data file: read as training reads it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from tfpipe.config import DoctorConfig, TrainConfig
from tfpipe.config.settings import flag_of
from tfpipe.data.examples import Columns, Examples
from tfpipe.data.quality import long_words, report_data, report_leaks
from tfpipe.data.read_examples import read_examples
from tfpipe.data.splits import PARTS, Splits, collect_splits, is_share
from tfpipe.data.tokenizer.fast_tokenizer import FastTokenizer
from tfpipe.data.unknown_tokens import UnknownTokens, sum_by_script
from tfpipe.doctoring.data_rows import rows_of_errors, rows_of_notes
from tfpipe.doctoring.findings import Command, Diagnosis, Finding, note, ok, problems_of
from tfpipe.doctoring.task_of_labels import DEFAULT, find_task, is_labelled
from tfpipe.doctoring.vocabulary import describe_choice, describe_unknown, is_uncovered
from tfpipe.errors import UserError
from tfpipe.model.choice import MULTILINGUAL, choose_model
from tfpipe.model.multilingual import multilingual_folder
from tfpipe.model.starter import starter_folder
from tfpipe.tasks import TASKS

DEFAULT_DEV = DoctorConfig().dev
# Named as in training, in the order in which they are shown.
SETTINGS = ("dev", "test", "text", "text_pair", "label", "rare_labels", "offsets")


def check_data(asked: DoctorConfig) -> Diagnosis:
    """Diagnose a data file, with the default split of dev or the dev and test files asked for.

    It is read for the task of its format, or else of its labels, unless a task is asked for. A
    file without labels is one to predict on. Anything that training would refuse is a problem.
    """
    path, columns = str(asked.subject), Columns.of(asked)
    task, findings = asked.task or DEFAULT, []
    others = [name for name in (asked.dev, asked.test) if name and name != DEFAULT_DEV]
    try:
        examples = read_examples(path, columns, columns.label is not None, faults=[])
        if not (asked.task or others or is_labelled(Path(path), examples)):
            findings = [*_describe_decisions(examples.decisions), *_describe_unlabelled(examples)]
            return Diagnosis("data", path, findings)
        if not asked.task:
            task, findings = find_task(Path(path), examples)
    except UserError as error:
        if not others:
            return Diagnosis("data", path, problems_of(error, "file"))
    config = TrainConfig(task=task, train=path, dev=asked.dev, test=asked.test)
    rules = TASKS[task].rules
    try:
        parts, errors = collect_splits(path, asked.dev, asked.test, columns, config.seed, rules)
    except UserError as error:
        parts, errors = None, [error]
    rows = [*rows_of_errors(errors)]
    findings += [found for error in errors for found in problems_of(error, "training")]
    if parts is not None:
        decisions = _describe_decisions(parts.decisions)
        findings = [*decisions, *findings, *_describe_parts(parts, config)]
        rows += rows_of_notes(parts, rules)
    return Diagnosis("data", path, findings, [*_commands(asked, task, findings)], rows)


def _commands(asked: DoctorConfig, task: str, findings: Sequence[Finding]) -> Iterator[Command]:
    """Yield the commands that train on the file, unless it cannot be trained on."""
    if any(finding.mark == "problem" and finding.about == "training" for finding in findings):
        return
    words = ["python", "-m", "tfpipe.train", "--train", str(asked.subject)]
    words += ["--output", "runs/NAME"]
    words += ["--task", task] if task != DEFAULT else []
    default = DoctorConfig()
    for name in SETTINGS:
        value = getattr(asked, name)
        words += [flag_of(name), value] if value != getattr(default, name) else []
    if asked.header is not None:
        words.append("--header" if asked.header else "--no-header")
    yield Command("to train on it", shlex.join(words))
    if is_uncovered(findings):
        purpose = "to train on it with a vocabulary that is learnt from it"
        yield Command(purpose, shlex.join([*words, "--model", "tiny"]))


def _describe_parts(parts: Splits, config: TrainConfig) -> Iterator[Finding]:
    """Yield the data report and the labels; raises UserError as training does."""
    rules = TASKS[config.task].rules
    choice = choose_model(config.model, parts.train)
    yield describe_choice(choice, parts.train)
    try:
        tokenizer = FastTokenizer.from_folder(
            multilingual_folder() if choice.name == MULTILINGUAL else starter_folder()
        )
    except UserError as error:
        yield from problems_of(error, choice.name)
        return
    counts = {
        name: rules.count_tokens(part, tokenizer, config.max_length)
        for name, part in zip(PARTS, parts, strict=False)
    }
    dev = parts.dev
    if is_share(config.dev):
        dev = replace(dev, path=f"{config.dev} of it, which training cuts off")
    report = report_data(
        parts.train,
        dev,
        counts["train"].full_lengths,
        config.max_length,
        rules,
        in_windows=counts["train"].inputs > len(parts.train),
    )
    facts, warnings = [*report.facts], [*report.warnings]
    if parts.test is not None:
        report_leaks(parts.train, parts.test, "test", facts, warnings)
    for name, value in facts:
        yield ok(name, f"{name}: {value}.", value)
    scripts = {
        name: sum_by_script(part, counts[name].tokens, counts[name].unknown)
        for name, part in zip(PARTS, parts, strict=False)
    }
    yield describe_unknown(UnknownTokens(scripts, choice.name))
    lost = rules.find_lost(parts.train, tokenizer, config.max_length)
    for warning in (*parts.label_notes, *warnings, *lost):
        yield note("data", f"{warning[0].upper()}{warning[1:]}.")
    summary = rules.describe_labels([*parts])
    if summary is None:
        rows = {label: in_train + in_dev for label, in_train, in_dev in report.labels}
        yield ok("labels", f"Training can learn {len(rows)} labels from it.", rows)
    else:
        yield ok(*summary)


def _describe_decisions(decisions: Sequence[str]) -> Iterator[Finding]:
    for decision in decisions:
        yield note("reading", f"{decision[0].upper()}{decision[1:]}.")


def _describe_unlabelled(examples: Examples) -> Iterator[Finding]:
    named = [name for name in (examples.columns.text, examples.columns.text_pair) if name]
    sentence = f"{len(examples):,} rows, columns {', '.join(named)}."
    yield ok("rows", sentence, len(examples))
    use = "predicted on, not trained on"
    if examples.text_pairs is not None:
        use = "predicted on, and trained on with --task embed where the texts of a row are similar"
    yield note("labels", f"It has no labels: it can be {use}.")
    empty = sum(not text.strip() for text in (*examples.texts, *(examples.text_pairs or ())))
    if empty:
        yield note("empty", f"{empty:,} texts are empty.", empty)
    for error in long_words(examples):
        yield note("words", f"{error.wrong}: {error.found}.")
