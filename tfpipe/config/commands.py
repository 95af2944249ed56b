"""What the commands beside `tfpipe.train` need."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tfpipe.config.conflicts import Conflict
from tfpipe.config.fields import flag_of, setting
from tfpipe.config.requirements import parse_requirements
from tfpipe.errors import UserError

# A setting of an export that would be ignored, and the one it belongs to.
BELONGINGS = (
    ("data", "not_worse_than"),
    *((column, "data") for column in ("text", "text_pair", "label")),
    ("model_config", "keep"),
)


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
