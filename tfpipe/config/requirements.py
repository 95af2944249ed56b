"""Requirements for an export, such as `dev.accuracy>=0.90,test.macro_f1>0.8`."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass

from tfpipe.errors import UserError, raise_all

COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    ">": operator.gt,
    "<=": operator.le,
    "<": operator.lt,
}
PATTERN = re.compile(r"\s*([\w.]+)\s*(>=|<=|>|<)\s*([-+]?[\d.]+(?:e[-+]?\d+)?)\s*", re.IGNORECASE)


@dataclass(frozen=True)
class Requirement:
    """A bound on a metric, such as dev.accuracy >= 0.9.

    Attributes:
        metric: Split and name of the metric, as `dev.accuracy`.
        comparison: `>=`, `>`, `<=` or `<`.
        bound: The bound.
    """

    metric: str
    comparison: str
    bound: float

    def __str__(self) -> str:
        return f"{self.metric}{self.comparison}{self.bound:g}"

    def is_met(self, value: float) -> bool:
        """Return whether a value of the metric meets the bound; NaN never does."""
        return COMPARISONS[self.comparison](value, self.bound)


def parse_requirements(text: str | None) -> list[Requirement]:
    """Parse comma-separated requirements; raises UserError for all that are invalid."""
    found, errors = [], []
    for part in (text or "").split(",") if text else ():
        match = PATTERN.fullmatch(part)
        try:
            if match is None:
                raise ValueError
            found.append(Requirement(match[1], match[2], float(match[3])))
        except ValueError:
            errors.append(
                UserError(
                    "--require is invalid",
                    repr(part),
                    'write METRIC>=NUMBER in quotes, as in --require "dev.accuracy>=0.90"',
                )
            )
    raise_all(errors)
    return found
