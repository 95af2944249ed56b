"""The report in Chinese (simplified), which has one form for one and for many."""

from tfpipe.report.i18n.zh.opening import OPENING
from tfpipe.report.i18n.zh.sections import SECTIONS

WORDS: dict[str, str | tuple[str, str]] = OPENING | SECTIONS
