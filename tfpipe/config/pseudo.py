"""The configuration of `tfpipe.pseudo`."""

from __future__ import annotations

from dataclasses import dataclass

from tfpipe.config.reading import header_setting
from tfpipe.config.settings import setting


@dataclass(frozen=True)
class PseudoConfig:
    """The configuration of `tfpipe.pseudo`; see the help of each field."""

    run: str = setting("", "folder of a finished run of --task classify", positional=True)
    data: str = setting("", "file of texts; a label column is ignored", required=True)
    out: str = setting("", "file to write: .tsv, .csv or .jsonl, in UTF-8", required=True)
    text: str | None = setting(None, "text column (default: detected)")
    text_pair: str | None = setting(None, "column of the second text (default: detected)")
    header: bool | None = header_setting()
    risk: float = setting(
        0.05,
        "share of the labels that may be wrong: the least score is chosen on the run's dev"
        " examples, so that it holds there with 95 % confidence",
        above=0,
        below=1,
    )
    score: float | None = setting(None, "least score, in place of --risk", minimum=0, maximum=1)
    with_train: bool = setting(
        False, "write the run's training rows before, so that the file is one to train on"
    )
    overwrite: bool = setting(False, "replace the file of --out")
    json: bool = setting(False, "print the counts as one JSON object")
