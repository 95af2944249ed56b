"""What a row's label may be, and which names are in it: by default one name a row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Protocol

from tfpipe.data.quality import refuse_untrainable
from tfpipe.data.read_examples import Examples
from tfpipe.data.tabular import strip_blanks


class LabelRules(Protocol):
    """What reading and cutting data files ask of a task; its class answers, without a model."""

    @property
    def name(self) -> str:
        """The task's, as on the command line."""

    @property
    def optional_label(self) -> bool:
        """Whether a row without a label says something."""

    def check(self, examples: Examples, to_learn: bool) -> None:
        """Raise UserError for labels that cannot be read or, of train, cannot be learnt."""

    def strip_label(self, label: str) -> str:
        """The label without blanks around it, and around the names in it."""

    def names_in(self, label: str) -> Sequence[str]:
        """The names in a label, by which rows are counted and dev is cut."""


class OneLabel:
    """A label is a name."""

    name: ClassVar[str] = "classify"
    optional_label: ClassVar[bool] = False

    @classmethod
    def check(cls, examples: Examples, to_learn: bool) -> None:
        """Any name will do; those of train must differ and occur more than once."""
        if to_learn:
            refuse_untrainable(examples)

    @classmethod
    def strip_label(cls, label: str) -> str:
        """The label without blanks around it."""
        return strip_blanks(label)

    @classmethod
    def names_in(cls, label: str) -> Sequence[str]:
        """The label itself."""
        return (label,)
