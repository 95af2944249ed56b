"""The configurations of the commands other than `tfpipe.train`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tfpipe.config.reading import (
    RARE_LABELS,
    header_setting,
    offsets_setting,
    unknown_labels_setting,
)
from tfpipe.config.requirements import parse_requirements
from tfpipe.config.settings import LANGUAGES, TEXTS, Conflict, flag_of, setting
from tfpipe.errors import UserError
from tfpipe.tasks import TASKS

# A setting of an export, and the one without which it would be ignored.
REQUIRED_SETTINGS = (
    ("data", "not_worse_than"),
    *(
        (name, "data")
        for name in ("text", "text_pair", "label", "header", "rare_labels", "offsets")
    ),
    ("model_config", "keep"),
)
# How the answers of several runs become one.
ENSEMBLES = ("mean", "vote")
# Settings of the connection to a server, named as in serving.client.
CONNECTION = ("tls", "ca", "certificate", "key", "server_name", "token")


@dataclass(frozen=True)
class EvaluateConfig:
    """The configuration of `tfpipe.evaluate`; see the help of each field."""

    run: str = setting("", "folder of a finished run, or of an export", positional=True)
    data: str | None = setting(
        None, "labelled file (default: the run's dev examples; an export has none)"
    )
    text: str | None = setting(None, "text column (default: detected)")
    text_pair: str | None = setting(None, "column of the second text (default: detected)")
    label: str | None = setting(None, "label column (default: detected)")
    header: bool | None = header_setting()
    rare_labels: str = unknown_labels_setting()
    offsets: str = offsets_setting()
    batch_size: int = setting(64, "examples in a forward pass of a run", minimum=1)
    json: bool = setting(
        False, "print the metrics as one JSON object, with those of each label as `labels`"
    )


@dataclass(frozen=True)
class ExportConfig:
    """The configuration of `tfpipe.export`; see the help of each field."""

    run: str = setting("", "folder of a finished run", positional=True)
    more_runs: TEXTS = setting((), "further runs, for --shared and --ensemble", positional=True)
    to: str = setting("", "FOLDER/NAME, written as FOLDER/NAME/N", required=True)
    shared: bool = setting(
        False,
        "export runs with adapters of one base model as one model that takes `text` and `adapter`,"
        " the name of a run's folder",
    )
    ensemble: str | None = setting(
        None,
        "export runs that classify with the same labels as one model that answers with the mean of"
        " their scores, or with the label that most of them give (default: not)",
        choices=ENSEMBLES,
    )
    version: int | None = setting(None, "version number (default: the next)", minimum=0)
    precision: str = setting(
        "auto",
        "dtype of the served weights and matrix products; auto measures, and uses bfloat16 where"
        " it is faster and its answers agree; int8 is for servers on x86",
        choices=("auto", "float32", "bfloat16", "float16", "int8"),
    )
    measure_serving: bool = setting(
        True, "measure the export under load, and write the best server flags beside it"
    )
    require: str | None = setting(
        None,
        'required metrics, as "dev.accuracy>=0.90,test.macro_f1>0.8"; may be repeated',
        group="gate",
        repeated=True,
    )
    not_worse_than: str | None = setting(
        None,
        "version FOLDER/NAME/N to compare with: the export is refused where it is worse with"
        " p < 0.05 (exact McNemar test)",
        group="gate",
    )
    data: str | None = setting(
        None,
        "labelled file for --not-worse-than (default: the run's dev examples)",
        group="gate",
    )
    text: str | None = setting(None, "text column of --data (default: detected)", group="gate")
    text_pair: str | None = setting(
        None, "column of the second text of --data (default: detected)", group="gate"
    )
    label: str | None = setting(None, "label column of --data (default: detected)", group="gate")
    header: bool | None = header_setting(group="gate")
    rare_labels: str = unknown_labels_setting(group="gate")
    offsets: str = offsets_setting(group="gate")
    allow_new_labels: bool = setting(
        False, "publish even if the labels differ from the previous version", group="gate"
    )
    keep: int | None = setting(
        None,
        "newest versions to keep; older ones are removed (default: all)",
        minimum=1,
        group="versions",
    )
    model_config: str | None = setting(
        None,
        "the server's --model_config_file; --keep removes no version that has a label in it",
        group="versions",
    )
    json: bool = setting(
        False, "print folder, version, parity, gate and removed versions as one JSON object"
    )

    def conflicts(self) -> Iterator[Conflict]:
        """Yield settings that cannot be combined, each with the names of its fields."""
        try:
            parse_requirements(self.require)
        except UserError as error:
            yield ("require",), error
        yield from self._conflicts_of_runs()
        if self.shared and self.not_worse_than:
            yield (
                ("shared", "not_worse_than"),
                UserError(
                    "--not-worse-than compares one model, and --shared exports several",
                    f"--not-worse-than {self.not_worse_than}",
                    "leave out --not-worse-than; compare the runs with tfpipe.compare",
                ),
            )
        default = type(self)()
        for name, owner in REQUIRED_SETTINGS:
            if getattr(self, name) != getattr(default, name) and getattr(self, owner) is None:
                flag, owner_flag = flag_of(name), flag_of(owner)
                yield (
                    (name, owner),
                    UserError(
                        f"{flag} has no effect without {owner_flag}",
                        flag if name == "header" else f"{flag} {getattr(self, name)}",
                        f"add {owner_flag}, or leave out {flag}",
                    ),
                )

    def _conflicts_of_runs(self) -> Iterator[Conflict]:
        """Yield what several runs need, and what one does not."""
        if self.more_runs and not (self.shared or self.ensemble):
            yield (
                ("more_runs", "shared"),
                UserError(
                    "several runs are exported with --shared or --ensemble only",
                    ", ".join((self.run, *self.more_runs)),
                    "add --ensemble mean, or --shared, whose runs have adapters of one base model,"
                    " or give one run",
                ),
            )
        if self.ensemble and (self.shared or not self.more_runs):
            yield (
                ("ensemble", "shared", "more_runs"),
                UserError(
                    "--ensemble and --shared exclude each other"
                    if self.shared
                    else "an ensemble has several runs",
                    f"--ensemble {self.ensemble}" + (" --shared" if self.shared else ""),
                    "leave out one of them" if self.shared else "name at least two runs",
                ),
            )
        if self.precision == "int8" and self.shared:
            yield (
                ("precision", "shared"),
                UserError(
                    "a shared export has no products of int8",
                    "--precision int8 with --shared",
                    "give --precision bfloat16 or float32",
                ),
            )


@dataclass(frozen=True)
class CompareConfig:
    """The configuration of `tfpipe.compare`; see the help of each field."""

    run_a: str = setting("", "folder of a finished run or an export: the baseline", positional=True)
    run_b: str = setting("", "folder of the run or export to compare with it", positional=True)
    data: str | None = setting(
        None, "labelled file (default: the dev examples, where those of both runs are equal)"
    )
    text: str | None = setting(None, "text column (default: detected)")
    text_pair: str | None = setting(None, "column of the second text (default: detected)")
    label: str | None = setting(None, "label column (default: detected)")
    header: bool | None = header_setting()
    rare_labels: str = unknown_labels_setting()
    offsets: str = offsets_setting()
    out: str | None = setting(None, ".tsv file for all texts with different answers")
    show: int = setting(10, "changed texts and labels to print", minimum=0)
    confidence: float = setting(0.95, "confidence level of the intervals", above=0, below=1)
    resamples: int = setting(10_000, "bootstrap resamples", minimum=100)
    seed: int = setting(0, "seed of the resamples", minimum=0)
    batch_size: int = setting(64, "largest number of texts in a forward pass", minimum=1)
    json: bool = setting(False, "print the results as one JSON object")


@dataclass(frozen=True)
class PredictConfig:
    """The configuration of `tfpipe.predict`; see the help of each field."""

    run_or_export: str | None = setting(
        None,
        "folder of a run, of an export, or of a model's versions (the highest is used)",
        positional=True,
    )
    data: str = setting("", "input file, of any size; a label column is ignored", required=True)
    out: str = setting("", "output file: .tsv, .csv or .jsonl, or .gz of these", required=True)
    text: str | None = setting(None, "text column (default: detected)")
    text_pair: str | None = setting(None, "column of the second text (default: detected)")
    header: bool | None = header_setting()
    keep_columns: str = setting(
        "id",
        "other columns of the file to write before the answers: `id` (those named id or 编号, or"
        " ending in _id), `all`, `none`, or name,name",
        alone="all",
    )
    scores: bool = setting(False, "also write the score of every label or entity")
    second: bool = setting(
        False, "also write the label with the second highest score, and that score"
    )
    excel: bool = setting(False, "begin the .csv with the mark by which Excel knows UTF-8")
    overwrite: bool = setting(False, "replace the output file where it exists")
    answer_empty: bool = setting(
        False, "answer rows without a text as empty texts instead of stopping"
    )
    batch_size: int = setting(64, "largest number of texts in a forward pass or request", minimum=1)
    window: int = setting(4096, "rows that are read and sorted by length together", minimum=1)
    json: bool = setting(False, "print rows and speed as one JSON object")
    target: str | None = setting(
        None, "host:port of a server to use instead of a folder", group="server"
    )
    model: str | None = setting(None, "name of the model on the server", group="server")
    version: int | None = setting(
        None, "version of the model (default: the newest)", minimum=0, group="server"
    )
    tls: bool = setting(False, "use TLS with the default root certificates", group="server")
    ca: str | None = setting(None, "PEM file of root certificates; implies --tls", group="server")
    certificate: str | None = setting(None, "PEM file of the client certificate", group="server")
    key: str | None = setting(
        None, "PEM file of the client certificate's private key", group="server"
    )
    server_name: str | None = setting(
        None, "host name in the server's certificate (default: that of --target)", group="server"
    )
    token: str | None = setting(
        None, "bearer token from env:VARIABLE or file:FILE; requires TLS", group="server"
    )

    def conflicts(self) -> Iterator[Conflict]:
        """Yield settings that cannot be combined, each with the names of its fields."""
        if (self.run_or_export is None) == (self.target is None):
            yield (
                ("run_or_export", "target"),
                UserError(
                    "give either a folder or a server",
                    f"folder {self.run_or_export}, --target {self.target}",
                    "give the folder of a run or an export, or --target host:port",
                ),
            )
        elif (self.target is None) != (self.model is None):
            yield (
                ("target", "model"),
                UserError(
                    "--target and --model must be given together",
                    f"--target {self.target}, --model {self.model}",
                    "give both, or only the folder of a run or an export",
                ),
            )
        if self.target is not None:
            return
        if self.version is not None:
            yield (
                ("version", "target"),
                UserError(
                    "--version selects a model on a server",
                    f"--version {self.version} without --target",
                    "give the version's own folder, FOLDER/NAME/N",
                ),
            )
        for name in CONNECTION:
            if getattr(self, name):
                yield (
                    (name, "target"),
                    UserError(
                        f"{flag_of(name)} has no effect without a server",
                        "no --target",
                        f"add --target and --model, or leave out {flag_of(name)}",
                    ),
                )


@dataclass(frozen=True)
class ReportConfig:
    """The configuration of `tfpipe.report`; see the help of each field."""

    run: str = setting("", "folder of a finished run", positional=True)
    data: str | None = setting(
        None, "another labelled file for the page to be about (default: the run's own page again)"
    )
    text: str | None = setting(None, "text column (default: that of the training, or detected)")
    text_pair: str | None = setting(None, "column of the second text (default: as --text)")
    label: str | None = setting(None, "label column (default: as --text)")
    language: str | None = setting(
        None, "language of the page (default: the run's)", choices=LANGUAGES
    )
    out: str | None = setting(
        None, "file to write (default: report.html in the run, with --data report-NAME.html)"
    )
    batch_size: int = setting(64, "examples in a forward pass", minimum=1)

    def conflicts(self) -> Iterator[Conflict]:
        """Yield settings that cannot be combined, each with the names of its fields."""
        for name in ("text", "text_pair", "label"):
            if getattr(self, name) is not None and self.data is None:
                flag = flag_of(name)
                yield (
                    (name, "data"),
                    UserError(
                        f"{flag} has no effect without --data",
                        f"{flag} {getattr(self, name)}",
                        f"add --data, or leave out {flag}",
                    ),
                )


@dataclass(frozen=True)
class RunsConfig:
    """The configuration of `tfpipe.runs`; see the help of each field."""

    folder: str | None = setting(
        None, "folder to look for runs in, two levels deep (default: runs)", positional=True
    )
    sort: str = setting(
        "date",
        "column to sort by, such as dev.accuracy, name or learning_rate: metrics the best first,"
        " dates the newest first, all else ascending",
    )
    filter: str | None = setting(
        None,
        'runs to list: part of a name, or conditions such as "task=classify,dev.accuracy>=0.9";'
        " may be repeated",
        repeated=True,
    )
    json: bool = setting(False, "print the runs as one JSON object")


@dataclass(frozen=True)
class AskConfig:
    """The configuration of `tfpipe.ask`; see the help of each field."""

    run_or_export: str = setting(
        "",
        "folder of a run, of an export, or of a model's versions (the highest is used)",
        positional=True,
    )
    texts: tuple[str, ...] = setting(
        (), "texts, or questions; - for the lines of standard input", positional=True, required=True
    )
    text_pair: str | None = setting(
        None,
        "second text, or context, of every text; lines of standard input may have their own after"
        " a tab",
    )
    scores: bool = setting(False, "also print the score of every label")
    json: bool = setting(False, "print one JSON object a text")


@dataclass(frozen=True)
class LaunchConfig:
    """The configuration of `tfpipe.launch`; options after `--` are those of `tfpipe.train`."""

    workers: int = setting(2, "worker processes", minimum=1)
    servers: int = setting(0, "parameter servers; 0 for --strategy multi_worker", minimum=0)
    grace: int = setting(
        30, "seconds to wait for processes to end before they are killed", minimum=1
    )


@dataclass(frozen=True)
class DoctorConfig:
    """The configuration of `tfpipe.doctor`; see the help of each field."""

    subject: str | None = setting(
        None,
        "data file, folder of a run, export FOLDER/NAME/N, or FOLDER/NAME for its newest version"
        " (default: the environment)",
        positional=True,
    )
    text: str | None = setting(None, "text column of a data file (default: detected)")
    text_pair: str | None = setting(None, "column of the second text (default: detected)")
    label: str | None = setting(None, "label column (default: detected)")
    header: bool | None = header_setting()
    task: str | None = setting(
        None,
        "task to read a data file for (default: by its format or labels)",
        choices=tuple(TASKS),
    )
    dev: str = setting("0.1", "dev file, or the share of the data file to use as dev")
    test: str | None = setting(None, "test file, checked together with the data file")
    rare_labels: str = setting(
        "error",
        "labels with one row in the data file, and labels of dev or test that it lacks: refuse"
        " both, drop their rows, or keep the former and drop the latter",
        choices=RARE_LABELS,
    )
    offsets: str = offsets_setting()
    rows_to: str | None = setting(
        None,
        "file for the rows of a data file that something was found about: .tsv, .csv or .jsonl",
    )
    overwrite: bool = setting(False, "replace the file of --rows-to")
    json: bool = setting(False, "print the results as one JSON object")

    def conflicts(self) -> Iterator[Conflict]:
        """Yield settings that cannot be combined, each with the names of its fields."""
        if self.overwrite and self.rows_to is None:
            yield (
                ("overwrite", "rows_to"),
                UserError(
                    "--overwrite has no effect without --rows-to",
                    "--overwrite",
                    "add --rows-to FILE, or leave out --overwrite",
                ),
            )
