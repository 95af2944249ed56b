"""The configuration of `tfpipe.probe`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tfpipe.config.augment import BACK, NAMES, SYNONYMS
from tfpipe.config.reading import header_setting
from tfpipe.config.settings import Conflict, setting
from tfpipe.errors import UserError, did_you_mean

# The changes that need nothing else.
CHANGES = tuple(name for name in NAMES if name not in (SYNONYMS, BACK))


@dataclass(frozen=True)
class ProbeConfig:
    """The configuration of `tfpipe.probe`; see the help of each field."""

    run_or_export: str = setting(
        "",
        "folder of a run, of an export, or of a model's versions (the highest is used)",
        positional=True,
    )
    data: str | None = setting(
        None, "labelled file (default: the dev examples of the run)", group="data"
    )
    text: str | None = setting(None, "text column (default: detected)", group="data")
    text_pair: str | None = setting(
        None, "column of the second text (default: detected)", group="data"
    )
    label: str | None = setting(None, "label column (default: detected)", group="data")
    header: bool | None = header_setting(group="data")
    changes: str = setting(
        "all", f"all, or some of {', '.join(CHANGES)}, separated by commas", group="changes"
    )
    share: float = setting(
        0.2,
        "share of the words or places of a text that a change edits, at least one",
        above=0,
        maximum=1,
        group="changes",
    )
    attack: bool = setting(
        True, "misspell the words that answers depend on most (classify)", group="attack"
    )
    attack_rows: int = setting(
        200, "texts that are attacked, drawn by the seed", minimum=1, group="attack"
    )
    attack_edits: int = setting(
        2, "words of a text that are misspelt at most", minimum=1, maximum=12, group="attack"
    )
    expectations: str | None = setting(
        None,
        "table with the columns text, changed and expect: same, differ, or the label that the"
        " changed text is to get",
        group="expectations",
    )
    seed: int = setting(1, "seed of changes and attack", minimum=0)
    show: int = setting(5, "texts to show of attack and expectations", minimum=0)
    json: bool = setting(False, "print the figures as one JSON object")

    @property
    def names(self) -> list[str]:
        """Names of the changes."""
        if self.changes == "all":
            return list(CHANGES)
        return [name.strip() for name in self.changes.split(",")]

    def conflicts(self) -> Iterator[Conflict]:
        """Yield settings that cannot be combined, each with the names of its fields."""
        unknown = [name for name in self.names if name not in CHANGES]
        if unknown:
            yield (
                ("changes",),
                UserError(
                    "--changes names what is no change",
                    ", ".join(map(repr, unknown)),
                    f"{did_you_mean(unknown[0], CHANGES)}give all, or some of {', '.join(CHANGES)}",
                ),
            )
