"""A data file, as training would read it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import replace

from tfpipe.config import TrainConfig
from tfpipe.config.fields import flag_of
from tfpipe.data.check import long_words, report_data
from tfpipe.data.encode import encode
from tfpipe.data.parts import read_parts
from tfpipe.data.read import Columns, Examples, read_examples
from tfpipe.data.tokenizer import Tokenizer
from tfpipe.doctoring.findings import Command, Diagnosis, Finding, note, ok, problems_of
from tfpipe.errors import UserError
from tfpipe.model.sources import find_folder


def check_data(path: str, columns: Columns) -> Diagnosis:
    """The data report of a labelled file, with the default share cut off for dev.

    A file without labels is one to predict on. What training would refuse is a problem.
    """
    try:
        examples = read_examples(path, columns, labelled=columns.label is not None)
    except UserError as error:
        return Diagnosis("data", path, problems_of(error, "file"))
    if examples.labels is None:
        return Diagnosis("data", path, list(_describe_unlabelled(examples)))
    defaults = TrainConfig()
    try:
        parts = read_parts(path, defaults.dev, None, columns, defaults.seed)
    except UserError as error:
        return Diagnosis("data", path, problems_of(error, "training"))
    try:
        tokenizer = Tokenizer.from_folder(find_folder("starter"))
    except UserError as error:
        return Diagnosis("data", path, problems_of(error, "starter"))
    encoded = encode(parts.train, tokenizer, defaults.max_length)
    cut = replace(parts.dev, path=f"{defaults.dev} of it, which training cuts off")
    report = report_data(parts.train, cut, encoded.full_lengths, defaults.max_length)
    findings = [ok(name, f"{name}: {value}.", value) for name, value in report.facts]
    findings += [note("data", f"{warning[0].upper()}{warning[1:]}.") for warning in report.warnings]
    labels = {label: in_train + in_dev for label, in_train, in_dev in report.labels}
    findings.append(ok("labels", f"Training can learn {len(labels)} labels from it.", labels))
    words = ["python", "-m", "tfpipe.train", "--train", path, "--output", "runs/NAME"]
    for name, value in vars(columns).items():
        words += [flag_of(name), value] if value is not None else []
    return Diagnosis("data", path, findings, [Command("to train on it", shlex.join(words))])


def _describe_unlabelled(examples: Examples) -> Iterator[Finding]:
    named = [name for name in vars(examples.columns).values() if name is not None]
    told = f"{len(examples):,} rows, columns {', '.join(named)}."
    yield ok("rows", told, len(examples))
    yield note("labels", "It has no label column: a model can answer it, not learn from it.")
    empty = sum(not text.strip() for text in (*examples.texts, *(examples.text_pairs or ())))
    if empty:
        yield note("empty", f"{empty:,} texts are empty.", empty)
    for error in long_words(examples):
        yield note("words", f"{error.wrong}: {error.found}.")
