"""The configuration of `tfpipe.compress`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tfpipe.config.settings import TEXTS, Conflict, find_ignored, setting


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
        None, "layers to keep, those with the lowest training loss (default: all)", minimum=1
    )
    heads: int | None = setting(
        None,
        "attention heads of each layer to keep, the most important ones; a divisor of the hidden"
        " size (default: all)",
        minimum=1,
    )
    ffn: int | None = setting(
        None,
        "inner units of each feed-forward layer to keep, the most important ones (default: all)",
        minimum=1,
    )
    distill: bool = setting(
        False,
        "train the smaller model on the run's training data and its outputs; before that it is"
        " written as OUTPUT-pruned",
    )
    teacher: str | None = setting(
        None, "folder of the run whose outputs are learnt (default: the run itself)"
    )
    texts: str | None = setting(
        None, "file of texts to train on, too, with the labels that the teacher gives them"
    )
    epochs: int | None = setting(
        None, "passes of --distill over the training data (default: as the run)", minimum=1
    )
    seed: int = setting(1, "seed of the training examples by which parts are chosen", minimum=0)
    json: bool = setting(False, "print the result as one JSON object")

    def conflicts(self) -> Iterator[Conflict]:
        """Iterate over settings that cannot be combined, each with the names of its fields."""
        return find_ignored(self, [(name, ["distill"]) for name in ("teacher", "texts", "epochs")])
