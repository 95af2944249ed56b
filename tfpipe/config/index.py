"""The configuration of `tfpipe.index`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tfpipe.config.reading import header_setting
from tfpipe.config.requirements import parse_requirements
from tfpipe.config.settings import Conflict, find_ignored, flag_of, setting
from tfpipe.errors import UserError

# Settings, and the one without which each has no effect.
NEEDED = (("require", ("tune",)), ("not_worse_than", ("tune",)), ("model_config", ("keep",)))


@dataclass(frozen=True)
class IndexConfig:
    """The configuration of `tfpipe.index`; see the help of each field."""

    run_or_export: str = setting(
        "",
        "folder of a run, of an export, or of a model's versions (the highest is used), whose"
        " encoder makes the vectors",
        positional=True,
    )
    data: str = setting(
        "",
        "table of the entries: `text` or `question`, and where it has them `id`, `answer`, and"
        " further columns",
        required=True,
    )
    to: str = setting("", "FOLDER/NAME, written as FOLDER/NAME/N", required=True)
    version: int | None = setting(None, "version number (default: the next)", minimum=0)
    text: str | None = setting(None, "column that is searched (default: detected)")
    answer: str | None = setting(
        None, "column of the answers (default: detected; the text itself without one)"
    )
    id: str | None = setting(
        None, "column of the ids (default: `id`; the entry's number without one)"
    )
    header: bool | None = header_setting()
    top_k: int = setting(5, "entries in an answer", minimum=1, maximum=1000)
    dense_only: bool = setting(False, "search by the vectors alone", group="search")
    lexical_only: bool = setting(False, "search by the tokens alone (BM25)", group="search")
    weight: float | None = setting(
        None,
        "share of the vectors in a score; the tokens have the rest (default: chosen on --tune,"
        " else 0.4)",
        minimum=0,
        maximum=1,
        group="search",
    )
    floor: float | None = setting(
        None,
        "least score of an entry in an answer (default: chosen on --tune where it has questions"
        " without an id, else 0)",
        minimum=0,
        maximum=1,
        group="search",
    )
    tune: str | None = setting(
        None,
        "table of questions: `question` or `text`, and the `id` of the right entry, empty where no"
        " entry answers it",
        group="search",
    )
    require: str | None = setting(
        None,
        'required metrics on --tune, as "hybrid.recall_at_1>=0.80"; may be repeated',
        group="gate",
        repeated=True,
    )
    not_worse_than: str | None = setting(
        None,
        "version FOLDER/NAME/N to compare with on --tune: the index is refused where its first"
        " entries are worse with p < 0.05 (exact McNemar test)",
        group="gate",
    )
    measure_serving: bool = setting(
        True, "measure the index under load, and write the best server flags beside it"
    )
    keep: int | None = setting(
        None, "newest versions to keep; older ones are removed (default: all)", minimum=1
    )
    model_config: str | None = setting(
        None, "the server's --model_config_file; --keep removes no version that has a label in it"
    )
    batch_size: int = setting(64, "largest number of texts in a forward pass", minimum=1)
    json: bool = setting(False, "print folder, version and metrics as one JSON object")

    def conflicts(self) -> Iterator[Conflict]:
        """Yield settings that cannot be combined, each with the names of its fields."""
        if self.dense_only and self.lexical_only:
            yield (
                ("dense_only", "lexical_only"),
                UserError(
                    "--dense-only and --lexical-only exclude each other",
                    "both are given",
                    "give one of them, or neither for the hybrid of both",
                ),
            )
        for name in ("dense_only", "lexical_only"):
            if getattr(self, name) and self.weight is not None:
                yield (
                    ("weight", name),
                    UserError(
                        f"--weight has no effect with {flag_of(name)}",
                        f"--weight {self.weight:g}",
                        f"leave out {flag_of(name)}, or --weight",
                    ),
                )
        try:
            parse_requirements(self.require)
        except UserError as error:
            yield ("require",), error
        yield from find_ignored(self, NEEDED)
