"""What the commands beside `tfpipe.train` need."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tfpipe.config.requirements import parse_requirements
from tfpipe.config.settings import Conflict, flag_of, setting
from tfpipe.errors import UserError

# A setting of an export that would be ignored, and the one it belongs to.
BELONGINGS = (
    ("data", "not_worse_than"),
    *((column, "data") for column in ("text", "text_pair", "label")),
    ("model_config", "keep"),
)
# How a server is reached; named as serving.client names them.
CONNECTION = ("tls", "ca", "certificate", "key", "server_name", "token")


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
        "auto",
        "type of the served weights and products; auto measures, and takes bfloat16 where it is"
        " faster and answers alike",
        choices=("auto", "float32", "bfloat16", "float16"),
    )
    measure_serving: bool = setting(
        True, "measure the export under load here, and write the best server flags beside it"
    )
    require: str | None = setting(
        None,
        'what the model must reach, as in "dev.accuracy>=0.90,test.macro_f1>0.8"; may be repeated',
        group="gate",
        repeated=True,
    )
    not_worse_than: str | None = setting(
        None,
        "a version, FOLDER/NAME/N, that answers the same texts: the new one is refused where it is"
        " worse and p < 0.05 (exact McNemar test)",
        group="gate",
    )
    data: str | None = setting(
        None,
        "labelled file for --not-worse-than (default: the run's dev examples)",
        group="gate",
    )
    text: str | None = setting(
        None, "name of the text column of --data (default: found)", group="gate"
    )
    text_pair: str | None = setting(
        None, "name of the second text's column of --data (default: found)", group="gate"
    )
    label: str | None = setting(
        None, "name of the label column of --data (default: found)", group="gate"
    )
    allow_new_labels: bool = setting(
        False, "publish even if the labels differ from the version before", group="gate"
    )
    keep: int | None = setting(
        None,
        "versions to keep; older ones are removed after the export (default: all)",
        minimum=1,
        group="versions",
    )
    model_config: str | None = setting(
        None,
        "the server's --model_config_file: --keep removes no version that has a label there",
        group="versions",
    )
    json: bool = setting(
        False, "print folder, version, parity, gate and removed versions as one JSON object"
    )

    def conflicts(self) -> Iterator[Conflict]:
        """Each conflict with the names of the fields that it is about."""
        try:
            parse_requirements(self.require)
        except UserError as error:
            yield ("require",), error
        for name, owner in BELONGINGS:
            if getattr(self, name) is not None and getattr(self, owner) is None:
                flag, owner_flag = flag_of(name), flag_of(owner)
                yield (
                    (name, owner),
                    UserError(
                        f"{flag} says nothing without {owner_flag}",
                        f"{flag} {getattr(self, name)}",
                        f"add {owner_flag}, or leave out {flag}",
                    ),
                )


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


@dataclass(frozen=True)
class PredictConfig:
    """A run, an export or a server, and the two files."""

    run_or_export: str | None = setting(
        None,
        "folder of a run, of a version, or of a served name (highest version)",
        positional=True,
    )
    data: str = setting(
        "", "file to answer, of any size; a label column is passed over", required=True
    )
    out: str = setting("", "file to write: .tsv, .csv or .jsonl, or .gz of these", required=True)
    text: str | None = setting(None, "name of the text column (default: found)")
    text_pair: str | None = setting(None, "name of the second text's column (default: found)")
    scores: bool = setting(False, "write the score of every label, or entity, too")
    answer_empty: bool = setting(False, "answer rows without a text as an empty text, not stop")
    batch_size: int = setting(64, "texts in a forward pass or request, at most", minimum=1)
    window: int = setting(4096, "rows that are sorted by length and kept together", minimum=1)
    json: bool = setting(False, "print rows and speed as one JSON object")
    target: str | None = setting(None, "host:port of a server to ask instead", group="server")
    model: str | None = setting(None, "the model's name on the server", group="server")
    version: int | None = setting(
        None, "its version (default: the newest)", minimum=0, group="server"
    )
    tls: bool = setting(False, "encrypt, and trust the usual roots", group="server")
    ca: str | None = setting(None, "file of PEM roots to trust; means --tls", group="server")
    certificate: str | None = setting(None, "file of the PEM certificate to show", group="server")
    key: str | None = setting(None, "file of --certificate's PEM private key", group="server")
    server_name: str | None = setting(
        None, "name on the server's certificate (default: that of --target)", group="server"
    )
    token: str | None = setting(
        None, "bearer token, from env:VARIABLE or file:FILE; needs TLS", group="server"
    )

    def conflicts(self) -> Iterator[Conflict]:
        """What does not go together, each with the names of the fields that it is about."""
        if (self.run_or_export is None) == (self.target is None):
            yield (
                ("run_or_export", "target"),
                UserError(
                    "there must be one model to ask",
                    f"folder {self.run_or_export}, --target {self.target}",
                    "give the folder of a run or an export, or --target host:port",
                ),
            )
        elif (self.target is None) != (self.model is None):
            yield (
                ("target", "model"),
                UserError(
                    "a server and the name of its model go together",
                    f"--target {self.target}, --model {self.model}",
                    "give both, or the folder of a run or an export alone",
                ),
            )
        if self.target is not None:
            return
        if self.version is not None:
            yield (
                ("version", "target"),
                UserError(
                    "--version is of a model on a server",
                    f"--version {self.version} without --target",
                    "give the version's own folder, FOLDER/NAME/N",
                ),
            )
        for name in CONNECTION:
            if getattr(self, name):
                yield (
                    (name, "target"),
                    UserError(
                        f"{flag_of(name)} says how a server is reached",
                        "no --target",
                        f"add --target and --model, or leave out {flag_of(name)}",
                    ),
                )


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


@dataclass(frozen=True)
class DoctorConfig:
    """What `tfpipe.doctor` needs."""

    subject: str | None = setting(
        None,
        "a data file, a run's folder, an export FOLDER/NAME/N, or FOLDER/NAME for its newest"
        " version (default: the environment)",
        positional=True,
    )
    text: str | None = setting(None, "name of a data file's text column (default: found)")
    text_pair: str | None = setting(None, "name of its second text's column (default: found)")
    label: str | None = setting(None, "name of its label column (default: found)")
    json: bool = setting(False, "print everything as one JSON object")
