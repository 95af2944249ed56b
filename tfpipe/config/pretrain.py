"""The configuration of `tfpipe.pretrain`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tfpipe.config.reading import header_setting
from tfpipe.config.settings import TEXTS, Conflict, setting
from tfpipe.config.train import PRECISIONS, TrainConfig
from tfpipe.errors import UserError

# Those of one process.
STRATEGIES = ("auto", "one_device", "mirrored")


@dataclass(frozen=True)
class PretrainConfig:
    """The configuration of `tfpipe.pretrain`; see the help of each field."""

    texts: str = setting(
        "",
        "file of texts, one or more: .txt (a text a line) .csv .tsv .jsonl .json .parquet .xlsx, or"
        " .gz of these; labels are ignored",
        required=True,
    )
    more_texts: TEXTS = setting((), "further files, behind --texts FILE", positional=True)
    output: str = setting("", "folder of the model to write", required=True)
    text: str | None = setting(None, "text column (default: detected)")
    header: bool | None = header_setting()
    model: str = setting(
        "auto",
        "the model to train on: `starter`, `multilingual`, `tiny` (small, random), a folder, or a"
        " hub id; `auto` takes multilingual for texts that are not English",
    )
    add_words: int = setting(
        0,
        "new tokens for the most frequent words that are divided into pieces and occur at least 5"
        " times; only of WordPiece, which takes each Chinese character for a word",
        minimum=0,
    )
    max_length: int = setting(
        128,
        "tokens of an input, with special tokens; longer texts are cut into several",
        minimum=8,
        maximum=512,
    )
    mask: float = setting(
        0.15, "share of the tokens to predict, by whole words", above=0, maximum=0.5
    )
    epochs: int = setting(1, "passes over the texts, each masked anew", minimum=1)
    batch_size: int = setting(32, "inputs in a step, over all devices", minimum=1)
    learning_rate: float | None = setting(
        None, "peak learning rate (default: that of tfpipe.train for the model)", above=0
    )
    seed: int = setting(1, "seed of held-out texts, order, masks and dropout", minimum=0)
    strategy: str = setting("auto", "distribution over devices", choices=STRATEGIES)
    devices: int = setting(
        0, "devices to use, 0 for all; logical CPU devices without a GPU", minimum=0
    )
    precision: str = setting("auto", "dtype of the matrix products", choices=PRECISIONS)
    json: bool = setting(False, "print the figures as one JSON object")

    @property
    def files(self) -> tuple[str, ...]:
        """The files of texts."""
        return (self.texts, *self.more_texts)

    def conflicts(self) -> Iterator[Conflict]:
        """Iterate over settings that cannot be combined, each with the names of its fields."""
        if self.devices > 1 and self.strategy == "one_device":
            yield (
                ("devices", "strategy"),
                UserError(
                    "--strategy one_device uses one device",
                    f"--devices {self.devices}",
                    "leave out --devices, or give --strategy mirrored",
                ),
            )
        if self.add_words and self.model == "tiny":
            yield (
                ("add_words", "model"),
                UserError(
                    "--add-words has no effect with --model tiny",
                    f"--add-words {self.add_words}, and a vocabulary that is made from the texts",
                    "leave out --add-words, or give another --model",
                ),
            )

    def training(self, rate: float, precision: str) -> TrainConfig:
        """Return the settings of the training step, with rate and precision resolved."""
        return TrainConfig(
            max_length=self.max_length,
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=rate,
            seed=self.seed,
            strategy=self.strategy,
            devices=self.devices,
            precision=precision,
        )
