"""The figures of a run before and after its compression."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tfpipe.compressing.timing import time_models
from tfpipe.data.encoded import Encoded, EncodedDataset
from tfpipe.data.tokenizer import Tokenizer
from tfpipe.model.text_model import TextModel
from tfpipe.report.run_outputs import measured_metrics
from tfpipe.report.sections import Compression, Latency, ModelFigures
from tfpipe.run_folder import Run
from tfpipe.tasks import TASKS
from tfpipe.tasks.paired import Pair
from tfpipe.tasks.task import Task, TaskEvaluation


@dataclass(frozen=True)
class Measured:
    """A model, and what was measured of it.

    Attributes:
        run: Its run.
        model: The model.
        task: Its task, with what was chosen on dev.
        dev: Its evaluation on dev.
    """

    run: Run
    model: TextModel
    task: Task
    dev: TaskEvaluation

    def figures(self, latencies: Sequence[Latency]) -> ModelFigures:
        """Return the figures, with the size of the files that the run has."""
        config = self.model.config
        return ModelFigures(
            run=str(self.run.folder),
            vocabulary=len(self.model.tokenizer.vocabulary),
            layers=config.num_hidden_layers,
            heads=config.num_attention_heads,
            ffn=config.intermediate_size,
            parameters=self.model.parameters,
            megabytes=measure_megabytes(self.run),
            latencies=latencies,
            dev=measured_metrics(self.dev),
        )


def measure_megabytes(run: Run) -> float:
    """Return the size of a run's model."""
    return sum(file.stat().st_size for file in run.model.iterdir() if file.is_file()) / 1e6


def compare_answers(task: str, one: TaskEvaluation, other: TaskEvaluation) -> tuple[float, float]:
    """Compare two models of a task by their evaluations on the same examples.

    Returns:
        The share of equal answers, and the p value of the task's test of the difference.
    """
    pair: Pair = TASKS[task].compare.load()(one, other)
    same = [a == b for a, b in zip(pair.a.answers, pair.b.answers, strict=True)]
    return float(np.mean(same)), pair.agreement.p_value


def compare_models(before: Measured, after: Measured, dev: EncodedDataset) -> Compression:
    """Compare a run with the smaller one that was made of it, both written.

    Args:
        before: The run.
        after: The smaller one.
        dev: The dev examples, in tokens of the first.
    """
    config = before.run.config
    same, p_value = compare_answers(config.task, before.dev, after.dev)
    models, tasks = [before.model, after.model], [before.task, after.task]
    latencies = time_models(models, tasks, dev.examples, config.max_length)
    tokenizers = [model.tokenizer for model in models]
    return Compression(
        before.figures(latencies[0]),
        after.figures(latencies[1]),
        texts=len(dev.examples),
        same=same,
        p_value=p_value,
        lost=lost_share(dev.encoded, *tokenizers) if _differ(*tokenizers) else None,
    )


def _differ(whole: Tokenizer, kept: Tokenizer) -> bool:
    return whole.fingerprint != kept.fingerprint


def lost_share(encoded: Encoded, whole: Tokenizer, kept: Tokenizer) -> float:
    """Return the share of tokens, without special ones, that a trimmed vocabulary lacks.

    Args:
        encoded: Inputs in tokens of the whole vocabulary.
        whole: Its tokenizer.
        kept: The tokenizer of the trimmed vocabulary.
    """
    known = set(kept.vocabulary)
    lost = np.array([token not in known for token in whole.vocabulary])
    text = ~np.isin(encoded.ids, [whole.frame.cls, whole.frame.sep])
    return float(lost[encoded.ids[text]].mean()) if text.any() else 0.0
