"""What `tfpipe.predict` needs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tfpipe.config.conflicts import Conflict
from tfpipe.config.fields import flag_of, setting
from tfpipe.errors import UserError

# How a server is reached; named as serving.client names them.
CONNECTION = ("tls", "ca", "certificate", "key", "server_name", "token")


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
