"""Chinese (simplified) texts of the report; there is one form for all counts."""

from tfpipe.report.i18n.zh.opening import OPENING
from tfpipe.report.i18n.zh.sections import SECTIONS

WORDS: dict[str, str | tuple[str, str]] = OPENING | SECTIONS
