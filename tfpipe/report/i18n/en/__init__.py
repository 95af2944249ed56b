"""The report in English. A pair is what is said of one and of any other count."""

from tfpipe.report.i18n.en.opening import OPENING
from tfpipe.report.i18n.en.sections import SECTIONS

WORDS: dict[str, str | tuple[str, str]] = OPENING | SECTIONS
