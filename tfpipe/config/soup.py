"""The configuration of `tfpipe.soup`."""

from __future__ import annotations

from dataclasses import dataclass

from tfpipe.config.settings import TEXTS, setting


@dataclass(frozen=True)
class SoupConfig:
    """The configuration of `tfpipe.soup`; see the help of each field."""

    run: str = setting("", "folder of a finished run", positional=True)
    more_runs: TEXTS = setting((), "further runs of the same --model and data", positional=True)
    output: str = setting("", "folder of the run to write", required=True)
    json: bool = setting(False, "print the result as one JSON object")
