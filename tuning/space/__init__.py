"""What a study searches: parameters read from a file, given to Keras Tuner, and taken back."""

from tuning.space.defaults import training_defaults
from tuning.space.file import read_space
from tuning.space.parameters import Parameter, Space, differences

__all__ = ["Parameter", "Space", "differences", "read_space", "training_defaults"]
