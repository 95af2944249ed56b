"""The specification of a task: all that other packages need of it.

Command lines read it for --help, so it imports nothing heavy: what needs numpy or TensorFlow is
named by a `Reference` and imported at first use.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Words = Mapping[str, "str | tuple[str, str]"]


@dataclass(frozen=True)
class Reference:
    """An object by its module and name, imported at first use."""

    module: str
    name: str

    def load(self) -> Any:
        """Import the module and return the object."""
        return getattr(importlib.import_module(self.module), self.name)


@dataclass(frozen=True)
class FileFormat:
    """A file format that only one task reads, without columns.

    Attributes:
        endings: With the dot, such as `.conll`.
        read: `(path, labelled) -> Examples`.
        stream: `(path) -> Rows`, the texts alone, for prediction.
        has_labels: `(path) -> bool`, whether there is something to learn from.
        is_other: `(path) -> bool`, whether a file of this ending has rows with columns instead.
    """

    endings: tuple[str, ...]
    read: Reference
    stream: Reference
    has_labels: Reference
    is_other: Reference | None = None


@dataclass(frozen=True)
class HubEntry:
    """Names of the task in transformers and on the model hub.

    Attributes:
        pipeline: The hub's pipeline tag.
        model_class: The transformers class that loads the model.
        reading: How to read that class's logits; a template over `defaults` and the settings that
            the model's config.json keeps of the task.
        defaults: Values for settings that a model does not keep.
        inputs: What the model reads, where that is not `texts` or `pairs of texts`.
        library: The library that loads it, by its name on the hub.
    """

    pipeline: str
    model_class: str
    reading: str
    defaults: Mapping[str, Any] = field(default_factory=dict)
    inputs: str | None = None
    library: str = "transformers"


@dataclass(frozen=True)
class TaskSpec:
    """One task.

    Attributes:
        name: As on the command line.
        task: The class that implements tasks.task.Task.
        labels: Its data.labels.LabelRules, in a module that imports no TensorFlow.
        metrics: The metrics on dev by name, `max` or `min` for which way each gets better. The
            first chooses the best epoch unless `--best-by` or the task's `best_metric` names
            another.
        optional_metrics: Further metrics that only some models have.
        schema: The tasks.output_schema.OutputSchema of its served answers.
        compare: `(evaluation_a, evaluation_b) -> tasks.paired.Pair`.
        verb: The verb of serving.client that calls such a model.
        hub: Names for the model card.
        words: By language, `en` and `zh`: the report's sentences about this task, by the names
            that they have in report/i18n/, which they replace. `kicker` and `headline` have
            defaults there.
        inapplicable: Settings of training that mean nothing to the task, and why.
        baseline: `(labels, metric) -> tasks.sections.Baseline | None`, what an answer reaches that
            reads no text; None for a task without such an answer.
        file_format: The format that only this task reads.
        recognise: `(labels, pairs) -> Recognition | None` for doctor: whether a file's labels look
            like this task's; None for a task that is never guessed.
        columns_noun: What the columns of the head are; None where they name nothing.
        pairs: Whether the task reads pairs of texts: `optional`, `never` or `needed`.
        label_columns: Names of the label column in files for this task, beside the usual ones.
        reads_tokens: Whether rows may be a list of tokens and a list of their tags.
        always_windows: Whether long inputs are read in windows whatever --long-text is.
        compares_examples: Whether the training loss of an example depends on the others of its
            step, so that it is computed over all replicas and parts together.
    """

    name: str
    task: Reference
    labels: Reference
    metrics: Mapping[str, str]
    schema: Reference
    compare: Reference
    verb: str
    hub: HubEntry
    words: Mapping[str, Words]
    optional_metrics: Mapping[str, str] = field(default_factory=dict)
    inapplicable: Mapping[str, str] = field(default_factory=dict)
    baseline: Reference | None = None
    file_format: FileFormat | None = None
    recognise: Reference | None = None
    columns_noun: str | None = "labels"
    pairs: str = "optional"
    label_columns: tuple[str, ...] = ()
    reads_tokens: bool = False
    always_windows: bool = False
    compares_examples: bool = False

    @property
    def task_class(self) -> Any:
        """The class that implements tasks.task.Task; imports TensorFlow."""
        return self.task.load()

    @property
    def rules(self) -> Any:
        """The class with the data.labels.LabelRules of the task; imports no TensorFlow."""
        return self.labels.load()


@dataclass(frozen=True)
class Recognition:
    """Labels that look like a task's.

    Attributes:
        sentence: Why, and what to do.
        certain: Whether the file is to be read for that task.
    """

    sentence: str
    certain: bool = True
