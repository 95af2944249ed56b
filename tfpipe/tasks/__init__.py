"""The tasks, one file each: label coding, loss, figures, decoding, the served outputs."""

from tfpipe.model.text_model import TextModel
from tfpipe.tasks.classify import Classify
from tfpipe.tasks.multilabel import Multilabel
from tfpipe.tasks.qa import QA
from tfpipe.tasks.regress import Regress
from tfpipe.tasks.tag import Tag
from tfpipe.tasks.task import Task

TASKS: dict[str, type[Task]] = {
    "classify": Classify,
    "multilabel": Multilabel,
    "regress": Regress,
    "tag": Tag,
    "qa": QA,
}


def task_of(name: str, model: TextModel) -> Task:
    """The task that a loaded model was trained for, with what its folder keeps of it."""
    return TASKS[name].restore(model.label_names, model.head.settings)
