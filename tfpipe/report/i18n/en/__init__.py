"""English texts of the report; a pair is the singular and the plural."""

from tfpipe.report.i18n.en.opening import OPENING
from tfpipe.report.i18n.en.sections import SECTIONS

WORDS: dict[str, str | tuple[str, str]] = OPENING | SECTIONS
