"""The tasks: one folder each, and the registry of their specifications.

Importing this imports neither numpy nor TensorFlow.
"""

from __future__ import annotations

from tfpipe.tasks.classify.spec import SPEC as CLASSIFY
from tfpipe.tasks.embed.spec import SPEC as EMBED
from tfpipe.tasks.multilabel.spec import SPEC as MULTILABEL
from tfpipe.tasks.qa.spec import SPEC as QA
from tfpipe.tasks.regress.spec import SPEC as REGRESS
from tfpipe.tasks.spec import TaskSpec
from tfpipe.tasks.tag.spec import SPEC as TAG

# The one table of tasks. Where several fit, as to the outputs of a model, the first is taken.
TASKS: dict[str, TaskSpec] = {
    spec.name: spec for spec in (CLASSIFY, MULTILABEL, REGRESS, TAG, QA, EMBED)
}
