"""The configuration of `tfpipe.clean`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tfpipe.config.reading import header_setting
from tfpipe.config.settings import Conflict, setting
from tfpipe.errors import UserError, did_you_mean
from tfpipe.tasks import TASKS

DROPS = ("empty", "duplicates", "contradictions", "rare")


@dataclass(frozen=True)
class CleanConfig:
    """The configuration of `tfpipe.clean`; see the help of each field."""

    data: str = setting("", "data file, in any format that training reads", positional=True)
    to: str = setting("", "file to write: .tsv, .csv or .jsonl, in UTF-8", required=True)
    task: str = setting("classify", "task whose labels the file has", choices=tuple(TASKS))
    text: str | None = setting(None, "text column (default: detected)")
    text_pair: str | None = setting(None, "column of the second text (default: detected)")
    label: str | None = setting(None, "label column (default: detected)")
    header: bool | None = header_setting()
    merge_labels: bool = setting(
        False,
        "write labels that differ in case, width or spaces alone as the most frequent of them",
    )
    merge: str | None = setting(
        None, "labels to rename, as Good=good,BAD=bad; may be repeated", repeated=True
    )
    drop: str | None = setting(
        None,
        "rows to drop: `empty` (no text or no label), `duplicates` (text and label of an earlier"
        " row), `contradictions` (a text with several labels), `rare` (labels of few rows);"
        " joined by commas",
        repeated=True,
    )
    rare_below: int = setting(2, "rows below which a label is rare", minimum=2)
    overwrite: bool = setting(False, "replace the file of --to")
    json: bool = setting(False, "print what was done as one JSON object")

    @property
    def drops(self) -> list[str]:
        """The kinds of rows to drop."""
        return [kind.strip() for kind in (self.drop or "").split(",") if kind.strip()]

    @property
    def renamed(self) -> dict[str, str]:
        """The new names of labels by the old ones.

        Raises:
            UserError: A pair is not OLD=NEW, or a label gets two names.
        """
        names: dict[str, str] = {}
        for pair in (self.merge or "").split(","):
            old, equals, new = (part.strip() for part in pair.partition("="))
            if not pair.strip():
                continue
            if not equals or not old or not new or names.get(old, new) != new:
                raise UserError(
                    "--merge takes pairs of an old and a new label",
                    repr(pair),
                    "write --merge Good=good,BAD=bad, each old label once",
                )
            names[old] = new
        return names

    def conflicts(self) -> Iterator[Conflict]:
        """Yield settings that cannot be combined, each with the names of its fields."""
        try:
            _ = self.renamed
        except UserError as error:
            yield ("merge",), error
        for kind in self.drops:
            if kind not in DROPS:
                fix = f"{did_you_mean(kind, DROPS)}choose of {', '.join(DROPS)}"
                yield ("drop",), UserError("--drop has an unknown value", repr(kind), fix)
