"""What the commands beside `tfpipe.train` need."""

from __future__ import annotations

from dataclasses import dataclass

from tfpipe.config.fields import setting


@dataclass(frozen=True)
class EvaluateConfig:
    """What `tfpipe.evaluate` needs."""

    run: str = setting("", "folder of a finished run", positional=True)
    data: str | None = setting(None, "labelled file (default: the run's dev examples)")
    text: str | None = setting(None, "name of the text column (default: found)")
    text_pair: str | None = setting(None, "name of the second text's column (default: found)")
    label: str | None = setting(None, "name of the label column (default: found)")
    batch_size: int = setting(64, "examples in a forward pass", minimum=1)
    json: bool = setting(False, "print the figures as one JSON object")


@dataclass(frozen=True)
class ExportConfig:
    """What `tfpipe.export` needs."""

    run: str = setting("", "folder of a finished run", positional=True)
    to: str = setting("", "FOLDER/NAME: written as FOLDER/NAME/N", required=True)
    version: int | None = setting(None, "version number (default: the next)", minimum=0)
    precision: str = setting(
        "auto", "type of the served weights; auto is float32", choices=("auto", "float32")
    )
    json: bool = setting(False, "print folder, version and parity as one JSON object")


@dataclass(frozen=True)
class LaunchConfig:
    """What `tfpipe.launch` needs; what follows `--` goes to `tfpipe.train`."""

    workers: int = setting(2, "processes that train", minimum=1)
    servers: int = setting(
        0, "processes that hold the weights; with any, the strategy is parameter_server", minimum=0
    )
    grace: int = setting(
        30, "seconds that processes are given to end before they are killed", minimum=1
    )
