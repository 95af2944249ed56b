"""The tasks, one file each: label coding, loss, figures, decoding, the served outputs."""

from tfpipe.tasks.classify import Classify

TASKS = {"classify": Classify}
