"""The configuration of `tfpipe.compress`."""

from __future__ import annotations

from dataclasses import dataclass

from tfpipe.config.settings import TEXTS, setting


@dataclass(frozen=True)
class CompressConfig:
    """The configuration of `tfpipe.compress`; see the help of each field."""

    run: str = setting("", "folder of a finished run", positional=True)
    output: str = setting("", "folder of the run to write", required=True)
    vocabulary: TEXTS | None = setting(
        None,
        "keep the pieces of the training texts, and of the texts of further files (default: all)",
    )
    layers: int | None = setting(
        None, "layers to keep, the most important ones (default: all)", minimum=1
    )
    ffn: int | None = setting(
        None,
        "inner units of each feed-forward layer to keep, the most important ones (default: all)",
        minimum=1,
    )
    seed: int = setting(1, "of the training examples by which importance is measured", minimum=0)
    json: bool = setting(False, "print the result as one JSON object")
