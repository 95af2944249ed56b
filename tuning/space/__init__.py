"""Search space: parameters read from a YAML file and converted to Keras Tuner's."""

from tuning.space.defaults import training_defaults
from tuning.space.file import read_space
from tuning.space.parameters import Parameter, Space, differences

__all__ = ["Parameter", "Space", "differences", "read_space", "training_defaults"]
