"""The report in Chinese (simplified), which has one form for one and for many."""

from tfpipe.report.wording.zh.opening import OPENING
from tfpipe.report.wording.zh.sections import SECTIONS

WORDS: dict[str, str | tuple[str, str]] = OPENING | SECTIONS
