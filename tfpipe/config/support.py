"""The configurations of `tfpipe.apps.support` and of its verbs `tune` and `export`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tfpipe.config.settings import Conflict, setting
from tfpipe.errors import UserError

DATA_DIR = "support-data"


@dataclass(frozen=True)
class ServedSettings:
    """Which models the application uses, and where it keeps what it knows."""

    intents: str | None = setting(
        None,
        "folder FOLDER/NAME of an exported classifier; with --target its name on the server"
        " (default: the shipped sample's, trained at the first start)",
        group="models",
    )
    answers: str | None = setting(
        None,
        "table of answers with the columns intent and answer (also answer_en, answer_zh, title_en,"
        " title_zh, action), or the folder of an index; may be repeated",
        repeated=True,
        group="models",
    )
    target: str | None = setting(
        None,
        "host:port of a running server (default: a server is started and watched)",
        group="models",
    )
    data_dir: str = setting(DATA_DIR, "folder of the conversations and tuned limits")


@dataclass(frozen=True)
class SupportConfig(ServedSettings):
    """The configuration of `tfpipe.apps.support`; see the help of each field."""

    model: str = setting("auto", "model that the sample is trained with", group="models")
    port: int = setting(8080, "port of the page; 0 for any", minimum=0, maximum=65535)
    host: str = setting("127.0.0.1", "address to listen on; 0.0.0.0 for all")
    show_why: bool = setting(True, "show scores, entries and today's figures to visitors")
    per_minute: int = setting(30, "messages of one visitor in a minute", minimum=1)
    trust_proxy: bool = setting(
        False, "take visitors' addresses from the X-Forwarded-For of a proxy in front"
    )

    def conflicts(self) -> Iterator[Conflict]:
        """Yield settings that cannot be combined, each with the names of its fields."""
        if self.target is not None and self.intents is None and self.answers is None:
            yield (
                ("target", "intents"),
                UserError(
                    "--target names a server, but no model of it",
                    f"--target {self.target}",
                    "add --intents NAME, and --answers FILE or the name of an index",
                ),
            )
        if self.intents is not None and self.answers is None:
            yield (
                ("intents", "answers"),
                UserError(
                    "there are no answers to the intents",
                    f"--intents {self.intents}",
                    "add --answers FILE, a table with the columns intent and answer",
                ),
            )


@dataclass(frozen=True)
class SupportTuneConfig(ServedSettings):
    """The configuration of `tfpipe.apps.support tune`; see the help of each field."""

    data: str = setting("", "labelled file, not one of the training", required=True)
    right: float = setting(
        0.96, "least share of right ones among the answers to be given", above=0, below=1
    )
    right_pairs: float = setting(
        0.6, "least share of choices of two that hold the right intent", above=0, below=1
    )
    outside: float = setting(
        0.6, "least share of out-of-scope texts not to be answered", above=0, below=1
    )
    json: bool = setting(False, "print the limits and their figures as one JSON object")


@dataclass(frozen=True)
class SupportExportConfig:
    """The configuration of `tfpipe.apps.support export`; see the help of each field."""

    out: str = setting("", "output file: .tsv, .csv or .jsonl", required=True)
    unsure: bool = setting(False, "write only texts without a sure answer")
    labelled: bool = setting(False, "write only texts whose visitor chose an intent")
    data_dir: str = setting(DATA_DIR, "folder of the conversations")
    overwrite: bool = setting(False, "replace the output file where it exists")
