"""The training data of each epoch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tfpipe.data.encoded import EncodedDataset
from tfpipe.model.text_model import TextModel
from tfpipe.tasks.task import Task
from tfpipe.training.distillation import Teacher
from tfpipe.training.run_context import RunContext


class EpochData:
    """The same examples in every epoch, or with texts that are changed in each.

    Args:
        first: The examples as they were read.
        task: Their task.
        balanced: Whether examples are weighted by inverse frequency of their labels.
        of_epoch: From an epoch, counted from 0, to its examples; None where all are `first`.
        teacher: Whose outputs are among the targets; None for none.

    Attributes:
        first: The examples as they were read, by which an epoch's number of steps is counted.
        teacher: Whose outputs are among the targets; None for none.
    """

    def __init__(
        self,
        first: EncodedDataset,
        task: Task,
        balanced: bool = False,
        of_epoch: Callable[[int], EncodedDataset] | None = None,
        teacher: Teacher | None = None,
    ):
        self.first, self.teacher = first, teacher
        self._task, self._balanced, self._of_epoch = task, balanced, of_epoch

    @property
    def changes(self) -> bool:
        """Whether epochs differ."""
        return self._of_epoch is not None

    def __call__(self, epoch: int) -> tuple[EncodedDataset, np.ndarray | None]:
        """Return the examples of an epoch, and the weight of each input, None for equal ones."""
        found = self.first if self._of_epoch is None else self._of_epoch(epoch)
        return found, self._task.balanced_weights(found.targets) if self._balanced else None


def make_epoch_data(
    context: RunContext,
    model: TextModel,
    task: Task,
    train: EncodedDataset,
    teacher: Teacher | None = None,
) -> EpochData:
    """Make the training data of a run, with the teacher's outputs where there is one.

    Args:
        context: Its configuration, and how texts are changed in each epoch.
        model: The model, for its tokenizer.
        task: The task.
        train: The examples as they were read.
        teacher: Gives outputs to learn; None for none.
    """
    config, augmentation = context.config, context.augmentation
    balanced = config.class_weights == "balanced"
    if teacher:
        train = teacher.add_outputs(train)
    if augmentation is None:
        return EpochData(train, task, balanced, teacher=teacher)

    def of_epoch(epoch: int) -> EncodedDataset:
        examples = augmentation(train.examples, epoch)
        changed = task.label(examples, model.tokenizer, config.max_length)
        return teacher.add_outputs(changed) if teacher else changed

    return EpochData(train, task, balanced, of_epoch, teacher)
