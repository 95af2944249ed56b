"""The metrics by which a best epoch can be chosen, and which of two values is better."""

from __future__ import annotations

import numpy as np
import pytest

from tfpipe.config import TrainConfig, build, is_better
from tfpipe.errors import UserError
from tfpipe.tasks import TASKS
from tfpipe.tasks.classify.evaluation import ClassificationEvaluation

NAN = float("nan")


def test_they_are_those_of_an_evaluation() -> None:
    evaluation = ClassificationEvaluation(["a", "b"], ["x", "y"], np.array([0, 1]), np.eye(2), 0.5)
    assert set(evaluation.metrics) - {"examples"} == set(TASKS["classify"].metrics)


@pytest.mark.parametrize(
    "value,before,direction,expected",
    [
        (0.6, 0.5, "max", True),
        (0.5, 0.6, "max", False),
        (0.5, 0.6, "min", True),
        (0.6, 0.5, "min", False),
        (0.5, 0.5, "max", False),
        (0.5, 0.5, "min", False),
        (NAN, 0.5, "max", False),
        (NAN, 0.5, "min", False),
        (NAN, NAN, "min", False),
        (0.5, NAN, "max", True),
        (0.5, NAN, "min", True),
    ],
)
def test_better(value: float, before: float, direction: str, expected: bool) -> None:
    assert is_better(value, before, direction) is expected


def test_the_task_has_its_own() -> None:
    assert TrainConfig().best_metric == "accuracy"
    assert build(TrainConfig, {"best_by": "loss"}).best_metric == "loss"


@pytest.mark.parametrize("name", ["macrof1", "dev.macro_f1"])
def test_an_unknown_one_is_told(name: str) -> None:
    with pytest.raises(UserError) as caught:
        build(TrainConfig, {"best_by": name})
    assert caught.value.wrong == "--best-by is not a metric of --task classify"
    assert caught.value.found == repr(name)
    assert caught.value.fix == (
        "did you mean 'macro_f1'? choose one of accuracy, macro_f1, weighted_f1, loss"
    )
