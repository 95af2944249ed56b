"""Every word of the report, in each of its languages: whole sentences with places for values."""

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
    """The words of one language; called with a sentence's name and its values."""

    def __init__(self, language: str):
        self.language = language
        self._words = WORDS[language]

    def __call__(self, name: str, /, **values: object) -> str:
        """The sentence; `count` chooses between one and many where a language knows that.

        Raises KeyError for a name that is not there or a value that is missing.
        """
        return self._say(self._words[name], values)

    @staticmethod
    def _say(words: str | tuple[str, str], values: Mapping[str, object]) -> str:
        if not isinstance(words, str):
            words = words[0] if values["count"] == 1 else words[1]
        shown = {key: format_number(value) for key, value in values.items()}
        return words.format(**shown)

    def of(self, task: str, name: str, /, **values: object) -> str:
        """The sentence as it is said of this task, or else of any."""
        own = self._own(task)
        return self._say(own[name] if name in own else self._words[name], values)

    def _own(self, task: str) -> Words:
        return TASKS[task].words[self.language] if task in TASKS else {}

    def term(self, kind: str, name: str) -> str:
        """What a thing of the kind, such as a `figure` or a `fact`, is called."""
        known = self._words.get(f"{kind}.{name}")
        return known if isinstance(known, str) else name.replace("_", " ").replace("f1", "F1")

    def meaning(self, figure: str, task: str) -> str:
        """What a figure of a task says; empty for one that is not known."""
        name = f"meaning.{figure}"
        known = self._own(task).get(name, self._words.get(name))
        return known if isinstance(known, str) else ""

    def quote(self, text: str, most: int = 60) -> str:
        """A user's text within a sentence: one line, in quotes, its direction kept to itself."""
        return self("quoted", text=f"\u2068{shorten(text, most)}\u2069")

    def listing(self, items: list[str]) -> str:
        """The items one after the other."""
        return self("between").join(items)
