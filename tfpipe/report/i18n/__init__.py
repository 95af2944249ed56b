"""Texts of the report in each language: whole sentences with placeholders for values."""

from __future__ import annotations

from collections.abc import Mapping

from tfpipe.report.i18n import en, zh
from tfpipe.report.templates import format_number
from tfpipe.tasks import TASKS
from tfpipe.tasks.spec import Words
from tfpipe.text_display import shorten

WORDS = {"en": en.WORDS, "zh": zh.WORDS}
LANGUAGES = tuple(WORDS)


class Wording:
    """Texts of one language; called with a sentence's name and its values.

    Args:
        language: `en` or `zh`.
        measured: What sentences about dev call it; `dev` by default, in the language.

    Attributes:
        dev: That name.
    """

    def __init__(self, language: str, measured: str = ""):
        self.language = language
        self._words = WORDS[language]
        self.dev = measured or str(self._words["dev"])

    def __call__(self, name: str, /, **values: object) -> str:
        """Return a sentence.

        Args:
            name: Its name.
            **values: Values of its placeholders; `count` chooses between singular and plural.

        Raises:
            KeyError: There is no such name, or a value is missing.
        """
        return self._format(self._words[name], values)

    def _format(self, words: str | tuple[str, str], values: Mapping[str, object]) -> str:
        if not isinstance(words, str):
            words = words[0] if values["count"] == 1 else words[1]
        shown = {"dev": self.dev} | {key: format_number(value) for key, value in values.items()}
        return words.format(**shown)

    def of(self, task: str, name: str, /, **values: object) -> str:
        """Return the task's own sentence of this name, or else the general one."""
        own = self._own(task)
        return self._format(own[name] if name in own else self._words[name], values)

    def _own(self, task: str) -> Words:
        return TASKS[task].words[self.language] if task in TASKS else {}

    def term(self, kind: str, name: str) -> str:
        """Return the display name of a `figure`, a `fact` or another kind of item."""
        known = self._words.get(f"{kind}.{name}")
        return known if isinstance(known, str) else name.replace("_", " ").replace("f1", "F1")

    def meaning(self, figure: str, task: str) -> str:
        """Return the explanation of a task's metric; empty for an unknown one."""
        name = f"meaning.{figure}"
        known = self._own(task).get(name, self._words.get(name))
        return known if isinstance(known, str) else ""

    def quote(self, text: str, most: int = 60) -> str:
        """Return a user's text for a sentence: one line, quoted, with isolated text direction."""
        return self("quoted", text=f"\u2068{shorten(text, most)}\u2069")

    def listing(self, items: list[str]) -> str:
        """Join items to a list within a sentence."""
        return self("between").join(items)
