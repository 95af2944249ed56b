"""The monitoring config file: where on the REST port the metrics are, if anywhere."""

from __future__ import annotations

from pathlib import Path

from serving.proto_builder import build_messages
from serving.server.errors import RequestError, StartFailure
from serving.server.text_proto import read_text_proto

MESSAGES = build_messages(
    "PrometheusConfig: enable=1 bool, path=2 string\n"
    "MonitoringConfig: prometheus_config=1 PrometheusConfig"
)
DEFAULT_PATH = "/monitoring/prometheus/metrics"
EXAMPLE = f'prometheus_config {{ enable: true path: "{DEFAULT_PATH}" }}'


def read_metrics_path(path: str) -> str:
    """The URL path of the metrics that a text MonitoringConfig enables; empty for none.

    Raises StartFailure for a file that is none (model_servers/server.cc).
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
