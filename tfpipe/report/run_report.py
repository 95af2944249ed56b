"""Content of a run's report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tfpipe.report.sections import Compression, Data, MeasuredMetrics, Robustness, Slices
from tfpipe.tasks.sections import (
    Abstention,
    Baseline,
    Calibration,
    ClassRow,
    Confusion,
    Mistakes,
    Scatter,
    Suspects,
)
from tfpipe.training.ending import Ending


@dataclass(frozen=True)
class Report:
    """Content of a run's report page; a section without content is not shown.

    Attributes:
        title: The run's name.
        task: As on the command line.
        language: `en` or `zh`.
        made: Date.
        dev: Metrics on dev.
        test: Metrics on test, or None.
        history: One mapping an epoch, as `curves_figure` takes it.
        best_by: The dev metric that the kept epoch was chosen by.
        ending: The epoch at which training ended.
        classes: Metrics of each label.
        confusion: Confusion matrix.
        calibration: Calibration of the scores.
        abstention: Threshold of abstention and its effect.
        scatter: Gold and predicted values of a regression.
        slices: Metric over subsets of dev.
        robustness: Answers to changed texts.
        compression: The run that it was made smaller of, and what that changes.
        mistakes: The worst answers.
        suspects: Gold labels that may be wrong.
        labels_from_data: Whether label names come from the data, not from the task.
        label_count: Number of labels, or of entity types.
        baseline: Metric of always giving the most frequent answer.
        data: Data section.
        cost: Speed and size by name.
        command: The shell line that repeats the run.
        settings: The run's config.yaml.
        hashes: SHA-256 by split.
        environment: Versions and hardware.
        next_commands: Shell lines.
        sources: The file of `dev`, and of `test` where there is one.
        other: Name of the labelled file that takes the place of dev; empty for dev.
    """

    title: str
    task: str
    dev: MeasuredMetrics
    language: str = "en"
    made: str = ""
    test: MeasuredMetrics | None = None
    labels_from_data: bool = True
    label_count: int = 0
    baseline: Baseline | None = None
    data: Data | None = None
    history: Sequence[Mapping[str, Any]] = ()
    best_by: str | None = None
    ending: Ending | None = None
    classes: Sequence[ClassRow] = ()
    confusion: Confusion | None = None
    calibration: Calibration | None = None
    abstention: Abstention | None = None
    scatter: Scatter | None = None
    slices: Sequence[Slices] = ()
    robustness: Robustness | None = None
    compression: Compression | None = None
    mistakes: Mistakes | None = None
    suspects: Suspects | None = None
    cost: Mapping[str, float] = field(default_factory=dict)
    command: str = ""
    settings: str = ""
    hashes: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, object] = field(default_factory=dict)
    next_commands: Sequence[str] = ()
    sources: Mapping[str, str] = field(default_factory=dict)
    other: str = ""
