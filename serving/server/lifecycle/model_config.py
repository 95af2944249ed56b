"""Model configuration: TensorFlow Serving's ModelServerConfig, parsed and validated."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tensorflow_serving.config import model_server_config_pb2

from serving.server.errors import invalid_argument
from serving.server.flags import ServerFlags
from serving.server.text_proto import read_text_proto

PLATFORM = "tensorflow"
MODEL_TYPE_TENSORFLOW = 1


@dataclass(frozen=True)
class ModelSettings:
    """Configuration of one model: ServableVersionPolicy, and versions by label."""

    name: str
    base_path: Path
    policy: Any
    labels: Mapping[str, int]


def read_first_config(flags: ServerFlags) -> Any:
    """Read the ModelServerConfig that the command line selects; raises RequestError."""
    if flags.model_config_file:
        return read_config_file(Path(flags.model_config_file))
    config = model_server_config_pb2.ModelServerConfig()
    config.model_config_list.config.add(
        name=flags.model_name,
        # TensorFlow Serving rejects a relative path; here it is relative to the working folder.
        base_path=flags.model_base_path
        if is_uri(flags.model_base_path)
        else str(Path(flags.model_base_path).absolute()),
        model_platform=PLATFORM,
    )
    return config


def read_config_file(path: Path) -> Any:
    """Read a ModelServerConfig from a text-format file; raises RequestError."""
    return read_text_proto(path, model_server_config_pb2.ModelServerConfig())


def read_models(config: Any, known: Mapping[str, ModelSettings]) -> dict[str, ModelSettings]:
    """Validate a ModelServerConfig, except for the targets of its labels.

    Args:
        config: ModelServerConfig.
        known: Models of the configuration before.

    Returns:
        Models by name.

    Raises:
        RequestError: With TensorFlow Serving's messages (model_servers/server_core.cc).
    """
    if config.WhichOneof("config") == "custom_model_config":
        raise invalid_argument(
            "ServerModelConfig type not supported by HandleReloadConfigRequest. "
            "Only ModelConfigList is currently supported"
        )
    models = config.model_config_list.config
    names = set()
    for model in models:
        if model.name in names:
            raise invalid_argument(
                f"Illegal to list model {model.name} multiple times in config list"
            )
        names.add(model.name)
    for model in models:
        if not is_uri(model.base_path) and not model.base_path.startswith("/"):
            raise invalid_argument(
                f"Expected model {model.name} to have an absolute path or URI; "
                f"got base_path()={model.base_path}"
            )
    for model in models:
        check_platform(model, model.name in known)
        if model.HasField("logging_config"):
            raise invalid_argument("No request-logger-creator provided.")
    return {
        model.name: ModelSettings(
            model.name,
            Path(model.base_path.removeprefix("file://")),
            model.model_version_policy,
            dict(model.version_labels),
        )
        for model in models
    }


def check_platform(model: Any, is_known: bool) -> None:
    """Raise a RequestError for a ModelConfig of another platform than TensorFlow."""
    platform = model.model_platform
    if model.model_type:
        if platform:
            raise invalid_argument(
                "Illegal setting both ModelServerConfig::model_type (deprecated) and "
                "ModelServerConfig::model_platform."
            )
        if model.model_type != MODEL_TYPE_TENSORFLOW:
            raise invalid_argument(
                f"ModelServerConfig::model_type choice {model.model_type} not supported."
            )
        platform = PLATFORM
    if not platform:
        raise invalid_argument(
            "Illegal setting neither ModelServerConfig::model_type (deprecated) nor "
            f"ModelServerConfig::model_platform, model name is {model.name}"
        )
    if platform != PLATFORM and is_known:
        raise invalid_argument(
            f"Illegal to change a model's platform. For model {model.name} platform was "
            f"{PLATFORM} and new platform requested is {platform}"
        )
    if platform != PLATFORM:
        raise invalid_argument(f"Model {model.name} requests unsupported platform {platform}")


def is_uri(path: str) -> bool:
    """Return whether a base path is a URI, as in file:///models/support."""
    return re.match(r"[A-Za-z][A-Za-z0-9.]*://", path) is not None
