"""Monitoring endpoints of the REST port: readiness, and the path of the metrics."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

from serving.proto_builder import build_messages
from serving.server.errors import RequestError, StartFailure
from serving.server.lifecycle.manager import ModelManager
from serving.server.text_proto import read_text_proto

READINESS = re.compile(r"/readyz(?:/(?P<model>[^/]+)(?:/versions/(?P<version>-?[0-9]+))?)?/?")
MESSAGES = build_messages(
    "PrometheusConfig: enable=1 bool, path=2 string\n"
    "MonitoringConfig: prometheus_config=1 PrometheusConfig"
)
DEFAULT_PATH = "/monitoring/prometheus/metrics"
EXAMPLE = f'prometheus_config {{ enable: true path: "{DEFAULT_PATH}" }}'


def explain_readiness(manager: ModelManager, is_stopping: bool, path: str) -> str:
    """Return why the server, model or version of a /readyz path is not ready; "" if it is."""
    match = READINESS.fullmatch(path)
    if match is None:
        return "the paths are /readyz, /readyz/NAME and /readyz/NAME/versions/N"
    if is_stopping:
        return "the server is stopping"
    available = manager.available()
    if match["model"] is None:
        missing = [name for name in manager.names() if name not in available]
        return f"no version available of: {', '.join(missing)}" if missing else ""
    name, version = unquote(match["model"]), match["version"]
    if name not in available:
        return f"no version of model {name} is available"
    if version is not None and version not in map(str, available[name]):
        return f"version {version} of model {name} is not available"
    return ""


def read_metrics_path(path: str) -> str:
    """Read a text MonitoringConfig.

    Returns:
        URL path of the metrics; empty when they are off.

    Raises:
        StartFailure: The file is invalid (model_servers/server.cc).
    """
    if not path:
        return ""
    try:
        message = read_text_proto(Path(path), MESSAGES["MonitoringConfig"]())
    except RequestError as error:
        fix = f"write --monitoring_config_file as in: {EXAMPLE}"
        raise StartFailure(error.code, error.details, fix) from None
    config = message.prometheus_config
    if not config.enable:
        return ""
    return config.path or DEFAULT_PATH
