"""Checks of a run: its state, its files, and the next commands."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tfpipe.doctoring.findings import (
    Command,
    Diagnosis,
    Finding,
    in_units,
    note,
    ok,
    problem,
    problems_of,
)
from tfpipe.doctoring.vocabulary import describe_measured
from tfpipe.errors import UserError
from tfpipe.io.locks import LOCK_FILE, is_locked
from tfpipe.run_folder import Run
from tfpipe.tasks import TASKS
from tfpipe.training.checkpointing import list_checkpoints

WEIGHTS = ("model.safetensors", "tf_model.h5")
# Files that evaluate and export read; the others are for the user.
NEEDED = ("dev.jsonl", "data.json")
HUMAN_FILES = ("report.html", "predictions.tsv")


def check_run(folder: str) -> Diagnosis:
    """Diagnose a run's folder; no model is loaded."""
    run = Run(Path(folder))
    try:
        config = run.config
    except UserError as error:
        return Diagnosis("run", folder, problems_of(error, "config"))
    findings = [_describe_end(run)]
    findings.append(
        ok(
            "config",
            f"It is a {config.task} run of --model {config.model} on {config.train}, up to"
            f" {config.max_length} tokens a text.",
            {"task": config.task, "model": config.model, "train": config.train},
        )
    )
    if run.finished:
        findings += [*_describe_outcome(run), *_describe_files(run, config.task)]
    findings += _describe_sizes(run)
    quoted = shlex.quote(folder)
    if run.finished:
        commands = [Command("next", line) for line in run.next_commands]
    else:
        line = f"python -m tfpipe.train --resume --output {quoted}"
        commands = [Command("to resume", line)]
    return Diagnosis("run", folder, findings, commands)


def _describe_end(run: Run) -> Finding:
    if run.finished:
        return ok("finished", "The run is finished.", True)
    if is_locked(run.folder / "checkpoints" / LOCK_FILE):
        return note("finished", "The run is being trained at this moment.", False)
    sentence = "The run is not finished, so it can be neither evaluated nor exported."
    return problem("finished", sentence, False)


def _describe_outcome(run: Run) -> Iterator[Finding]:
    try:
        metrics = run.metrics
    except ValueError as error:
        yield problem("metrics", f"metrics.json cannot be read: {error}.")
        return
    for part in ("dev", "test"):
        if part in metrics:
            values: dict[str, Any] = metrics[part]
            sentence = ", ".join(
                f"{name} {value:.4f}" if isinstance(value, float) else f"{name} {value}"
                for name, value in values.items()
            )
            yield ok(part, f"On {part}: {sentence}.", values)
    measured = metrics.get("data", {}).get("unknown_tokens")
    yield from describe_measured(measured, run.config.model)
    made_with = metrics.get("environment", {})
    training = metrics.get("train", {})
    if "seconds" in training:
        sentence = f"{training['steps']} steps in {training['seconds']:,.0f} s"
        where = f"TensorFlow {made_with.get('tensorflow', '?')}, {made_with.get('strategy', '?')}"
        yield ok("training", f"Training took {sentence} ({where}).", training)


def _describe_files(run: Run, task: str) -> Iterator[Finding]:
    missing = [name for name in NEEDED if not (run.folder / name).is_file()]
    if missing:
        sentence = f"{' and '.join(missing)} cannot be found, which evaluate and export need."
        yield problem("files", sentence, missing)
    lacking = [name for name in HUMAN_FILES if not (run.folder / name).is_file()]
    if lacking:
        yield note("files.people", f"{' and '.join(lacking)} cannot be found.", lacking)
    weights = [name for name in WEIGHTS if (run.model / name).is_file()]
    try:
        settings = json.loads((run.model / "config.json").read_text(encoding="utf-8"))
        labels = len(settings["id2label"])
    except (OSError, ValueError, KeyError, TypeError):
        yield problem("model", "model/config.json cannot be read, or names no labels.")
        return
    if weights:
        noun = TASKS[task].columns_noun
        named_labels = f" and {labels} {noun}" if noun else ""
        yield ok("model", f"model/ has {' and '.join(weights)}{named_labels}.", labels)
    else:
        yield problem("model", f"model/ has no weights ({' or '.join(WEIGHTS)}).")


def _describe_sizes(run: Run) -> Iterator[Finding]:
    kept = [path.name for path in list_checkpoints(run.folder / "checkpoints")]
    sentence = f"{len(kept)} checkpoints (newest: {kept[-1]})" if kept else "no checkpoint"
    mark = ok if kept or run.finished else note
    yield mark("checkpoints", f"It has {sentence} to resume from.", kept)
    sizes = {name: size_of(run.folder / name) for name in ("model", "checkpoints", "logs")}
    parts = ", ".join(f"{name} {in_units(size)}" for name, size in sizes.items())
    total = size_of(run.folder)
    yield ok("size", f"It takes {in_units(total)} on disk: {parts}.", sizes | {"total": total})


def size_of(folder: Path) -> int:
    """Return the bytes of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
