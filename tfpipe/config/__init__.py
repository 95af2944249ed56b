"""The configuration of every command: one frozen dataclass is the API, the flags and the file."""

from tfpipe.config.commands import EvaluateConfig, ExportConfig, LaunchConfig
from tfpipe.config.fields import field_type
from tfpipe.config.figures import FIGURES, is_better
from tfpipe.config.train import (
    CLASS_WEIGHTS,
    LOSSES,
    PRECISIONS,
    SCHEDULES,
    STRATEGIES,
    TrainConfig,
)
from tfpipe.config.values import Config, build, checked_value
from tfpipe.config.yaml_file import read_values, to_yaml

__all__ = [
    "CLASS_WEIGHTS",
    "FIGURES",
    "LOSSES",
    "PRECISIONS",
    "SCHEDULES",
    "STRATEGIES",
    "Config",
    "EvaluateConfig",
    "ExportConfig",
    "LaunchConfig",
    "TrainConfig",
    "build",
    "checked_value",
    "field_type",
    "is_better",
    "read_values",
    "to_yaml",
]
