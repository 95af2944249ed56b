"""The quality gate: what a model must reach, and be, before users can call it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfpipe.config import ExportConfig, Requirement, parse_requirements
from tfpipe.data.read_examples import Columns, Examples
from tfpipe.data.splits import read_for, refuse_other_inputs
from tfpipe.errors import UserError, did_you_mean, raise_all
from tfpipe.exporting.baseline import find_rival, hold_a_duel
from tfpipe.exporting.clean_process import batches_of, join, open_as_stranger
from tfpipe.exporting.verify_export import Proof
from tfpipe.run_folder import Run
from tfpipe.tasks.task import Task

GATE_FILE = Path("assets.extra", "gate.json")


@dataclass(frozen=True)
class Gate:
    """What is asked of a model.

    metrics: the run's figures by name; rival: folder or URL of a version that it must not be worse
    than; duel_on: labelled texts that both answer, None for the run's dev examples.
    """

    requirements: Sequence[Requirement]
    metrics: dict[str, float]
    rival: Path | str | None
    duel_on: Examples | None


def read_gate(config: ExportConfig, run: Run, task: Task) -> Gate:
    """What the configuration asks for; raises UserError for all of it that does not exist."""
    requirements = parse_requirements(config.require)
    metrics = figures_by_name(run.metrics)
    errors: list[UserError] = [
        UserError(
            f"--require names no figure of this run: {requirement.figure}",
            str(requirement),
            did_you_mean(requirement.figure, metrics) + f"known: {', '.join(metrics)}",
        )
        for requirement in requirements
        if requirement.figure not in metrics
    ]
    rival = duel_on = None
    try:
        rival = find_rival(config.not_worse_than) if config.not_worse_than else None
        if config.data is not None:
            columns = Columns(config.text, config.text_pair, config.label)
            duel_on = read_for(config.data, columns, type(task))
            refuse_other_inputs(duel_on, run.data["pairs"])
            task.refuse_unknown(duel_on)
    except UserError as error:
        errors.append(error)
    raise_all(errors)
    return Gate(requirements, metrics, rival, duel_on)


def figures_by_name(metrics: dict[str, Any], prefix: str = "") -> dict[str, float]:
    """The numbers of metrics.json under names such as dev.accuracy."""
    found: dict[str, float] = {}
    for name, value in metrics.items():
        if isinstance(value, dict):
            found |= figures_by_name(value, f"{prefix}{name}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found[prefix + name] = value
    return found


def pass_gate(
    gate: Gate,
    task: Task,
    export: Path,
    proof: Proof,
    dev: Examples,
    tell: Callable[[str], None],
) -> dict[str, Any]:
    """What was asked and what was found; raises UserError where the model is refused.

    Figures of dev are those of the export's own answers.
    """
    figures = gate.metrics | figures_by_name({"dev": proof.evaluation.metrics})
    raise_all(
        [
            UserError(
                "the model does not reach what --require asks for, nothing was published",
                f"{one.figure} is {figures[one.figure]:.6g}, required {one}",
                "train a better model, or ask for less",
            )
            for one in gate.requirements
            if not one.is_met(figures[one.figure])
        ]
    )
    passed: dict[str, Any] = {
        "required": [
            {"requirement": str(one), "found": figures[one.figure]} for one in gate.requirements
        ]
    }
    for one in passed["required"]:
        tell(f"required {one['requirement']}, found {one['found']:.6g}")
    if gate.rival is not None:
        answers = proof.answers
        if gate.duel_on is not None:
            answers = join(open_as_stranger(export, batches_of(gate.duel_on, task)).answered())
        duel = hold_a_duel(gate.rival, task, answers, gate.duel_on or dev)
        passed["not_worse_than"] = duel.as_json()
        tell(str(duel))
    return passed
