"""The configuration of each command: a frozen dataclass that defines API, flags and YAML file."""

from tfpipe.config.clean import CleanConfig
from tfpipe.config.commands import (
    AskConfig,
    CompareConfig,
    DoctorConfig,
    EvaluateConfig,
    ExportConfig,
    LaunchConfig,
    PredictConfig,
    ReportConfig,
    RunsConfig,
)
from tfpipe.config.compress import CompressConfig
from tfpipe.config.index import IndexConfig
from tfpipe.config.metrics import is_better, is_better_epoch
from tfpipe.config.pretrain import PretrainConfig
from tfpipe.config.probe import ProbeConfig
from tfpipe.config.pseudo import PseudoConfig
from tfpipe.config.repeat import RepeatConfig
from tfpipe.config.requirements import Requirement, parse_requirements
from tfpipe.config.settings import (
    TEXTS,
    Config,
    build,
    checked_value,
    field_type,
    read_values,
    to_yaml,
)
from tfpipe.config.soup import SoupConfig
from tfpipe.config.support import SupportConfig, SupportExportConfig, SupportTuneConfig
from tfpipe.config.train import (
    CLASS_WEIGHTS,
    LOSSES,
    PRECISIONS,
    SCHEDULES,
    STRATEGIES,
    TrainConfig,
)

__all__ = [
    "CLASS_WEIGHTS",
    "LOSSES",
    "PRECISIONS",
    "SCHEDULES",
    "STRATEGIES",
    "CleanConfig",
    "TEXTS",
    "AskConfig",
    "CompareConfig",
    "CompressConfig",
    "Config",
    "DoctorConfig",
    "EvaluateConfig",
    "ExportConfig",
    "IndexConfig",
    "LaunchConfig",
    "PredictConfig",
    "PretrainConfig",
    "ProbeConfig",
    "PseudoConfig",
    "RepeatConfig",
    "ReportConfig",
    "Requirement",
    "RunsConfig",
    "SoupConfig",
    "SupportConfig",
    "SupportExportConfig",
    "SupportTuneConfig",
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
