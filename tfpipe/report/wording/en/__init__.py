"""The report in English. A pair is what is said of one and of any other count."""

from tfpipe.report.wording.en.opening import OPENING
from tfpipe.report.wording.en.sections import SECTIONS

WORDS: dict[str, str | tuple[str, str]] = OPENING | SECTIONS
