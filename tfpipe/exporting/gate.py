"""Quality gate of an export: required metrics, and a paired test against a published version."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfpipe.config import ExportConfig, Requirement, parse_requirements
from tfpipe.data.examples import Columns, Examples
from tfpipe.data.splits import read_for, refuse_other_inputs
from tfpipe.errors import UserError, did_you_mean, raise_all
from tfpipe.exporting.baseline import compare_with_baseline, find_baseline
from tfpipe.exporting.clean_process import batches_of, join, run_in_clean_process
from tfpipe.exporting.verify_export import VerifiedExport
from tfpipe.run_folder import Run
from tfpipe.tasks.task import Task

logger = logging.getLogger(__name__)

GATE_FILE = Path("assets.extra", "gate.json")


@dataclass(frozen=True)
class Gate:
    """Requirements on a model.

    Attributes:
        requirements: Bounds of metrics.
        metrics: The run's metrics by name.
        baseline: Folder or URL of a version that the model must not be worse than, or None.
        baseline_examples: Labelled texts that both answer; None for the run's dev examples.
    """

    requirements: Sequence[Requirement]
    metrics: dict[str, float]
    baseline: Path | str | None
    baseline_examples: Examples | None


def read_gate(config: ExportConfig, run: Run, task: Task) -> Gate:
    """Return the configured requirements.

    Raises:
        UserError: A metric, the baseline or its data does not exist; all errors together.
    """
    requirements = parse_requirements(config.require)
    metrics = flatten_metrics(run.metrics | {"probe": run.probed})
    errors: list[UserError] = [
        UserError(
            f"--require names no metric of this run: {requirement.metric}",
            str(requirement),
            f"python -m tfpipe.probe {run.folder}"
            if requirement.metric.startswith("probe.") and not run.probed
            else did_you_mean(requirement.metric, metrics) + f"known: {', '.join(metrics)}",
        )
        for requirement in requirements
        if requirement.metric not in metrics
    ]
    baseline = examples = None
    try:
        baseline = find_baseline(config.not_worse_than) if config.not_worse_than else None
        if config.data is not None:
            columns = Columns.of(config)
            examples = read_for(config.data, columns, type(task), task.label_names)
            for decision in examples.decisions:
                logger.info(f"data: note: {decision}")
            refuse_other_inputs(examples, run.data["pairs"])
            task.refuse_unknown(examples)
    except UserError as error:
        errors.append(error)
    raise_all(errors)
    return Gate(requirements, metrics, baseline, examples)


def flatten_metrics(metrics: dict[str, Any], prefix: str = "") -> dict[str, float]:
    """Return the numbers of metrics.json under names such as dev.accuracy."""
    found: dict[str, float] = {}
    for name, value in metrics.items():
        if isinstance(value, dict):
            found |= flatten_metrics(value, f"{prefix}{name}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found[prefix + name] = value
    return found


def pass_gate(
    gate: Gate, task: Task, export: Path, verified: VerifiedExport, dev: Examples
) -> dict[str, Any]:
    """Check an export against the requirements; metrics of dev are of the export's own answers.

    Returns:
        The requirements and what was found, for gate.json.

    Raises:
        UserError: The model does not meet a requirement, or is worse than the baseline.
    """
    metrics = gate.metrics | flatten_metrics({"dev": verified.evaluation.metrics})
    raise_all(
        [
            UserError(
                "the model does not reach what --require asks for, nothing was published",
                f"{one.metric} is {metrics[one.metric]:.6g}, required {one}",
                "train a better model, or ask for less",
            )
            for one in gate.requirements
            if not one.is_met(metrics[one.metric])
        ]
    )
    passed: dict[str, Any] = {
        "required": [
            {"requirement": str(one), "found": metrics[one.metric]} for one in gate.requirements
        ]
    }
    for one in passed["required"]:
        logger.info(f"required {one['requirement']}, found {one['found']:.6g}")
    if gate.baseline is not None:
        answers, examples = verified.answers, gate.baseline_examples
        if examples is not None:
            answers = join(run_in_clean_process(export, batches_of(examples, task)).answered())
        compared = compare_with_baseline(gate.baseline, task, answers, examples or dev)
        passed["not_worse_than"] = compared.as_json()
        logger.info(str(compared))
    return passed
