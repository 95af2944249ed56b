"""What `tfpipe.compare` needs."""

from __future__ import annotations

from dataclasses import dataclass

from tfpipe.config.fields import setting


@dataclass(frozen=True)
class CompareConfig:
    """Two models and the labelled texts that they are held against."""

    run_a: str = setting(
        "", "folder of a finished run or an export: the one there is", positional=True
    )
    run_b: str = setting("", "folder of another: is it better?", positional=True)
    data: str | None = setting(
        None, "labelled file (default: the dev examples, where both runs have the same)"
    )
    text: str | None = setting(None, "name of the text column (default: found)")
    text_pair: str | None = setting(None, "name of the second text's column (default: found)")
    label: str | None = setting(None, "name of the label column (default: found)")
    out: str | None = setting(None, "file .tsv to write all texts that are answered otherwise to")
    show: int = setting(10, "changed texts and labels that the table shows", minimum=0)
    confidence: float = setting(0.95, "share of the intervals", above=0, below=1)
    resamples: int = setting(10_000, "drawings of the bootstrap", minimum=100)
    seed: int = setting(0, "of the drawings", minimum=0)
    batch_size: int = setting(64, "texts in a forward pass, at most", minimum=1)
    json: bool = setting(False, "print everything as one JSON object")
