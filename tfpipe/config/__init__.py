"""The configuration of every command: one frozen dataclass is the API, the flags and the file."""

from tfpipe.config.commands import DoctorConfig, EvaluateConfig, ExportConfig, LaunchConfig
from tfpipe.config.compare import CompareConfig
from tfpipe.config.fields import field_type
from tfpipe.config.metrics import is_better, is_better_epoch
from tfpipe.config.predict import PredictConfig
from tfpipe.config.requirements import Requirement, parse_requirements
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
    "LOSSES",
    "PRECISIONS",
    "SCHEDULES",
    "STRATEGIES",
    "CompareConfig",
    "Config",
    "DoctorConfig",
    "EvaluateConfig",
    "ExportConfig",
    "LaunchConfig",
    "PredictConfig",
    "Requirement",
    "TrainConfig",
    "build",
    "checked_value",
    "field_type",
    "is_better",
    "is_better_epoch",
    "parse_requirements",
    "read_values",
    "to_yaml",
]
