"""The tasks: one folder each, and the registry of their specifications.

Importing this imports neither numpy nor TensorFlow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfpipe.tasks.classify.spec import SPEC as CLASSIFY
from tfpipe.tasks.multilabel.spec import SPEC as MULTILABEL
from tfpipe.tasks.qa.spec import SPEC as QA
from tfpipe.tasks.regress.spec import SPEC as REGRESS
from tfpipe.tasks.spec import TaskSpec
from tfpipe.tasks.tag.spec import SPEC as TAG

if TYPE_CHECKING:
    from tfpipe.model.text_model import TextModel
    from tfpipe.tasks.task import Task

# The one table of tasks. Where several fit, as to the outputs of a model, the first is taken.
TASKS: dict[str, TaskSpec] = {spec.name: spec for spec in (CLASSIFY, MULTILABEL, REGRESS, TAG, QA)}


def task_of(name: str, model: TextModel) -> Task:
    """The task that a loaded model was trained for, with the settings kept in its folder."""
    return TASKS[name].task_class.restore(model.label_names, model.head.settings)
