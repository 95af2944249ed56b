"""What a model must reach before it is published: `dev.accuracy>=0.90,test.macro_f1>0.8`."""

from __future__ import annotations

import operator
import re
from dataclasses import dataclass

from tfpipe.errors import UserError, raise_all

HOLDS = {">=": operator.ge, ">": operator.gt, "<=": operator.le, "<": operator.lt}
FORM = re.compile(r"\s*([\w.]+)\s*(>=|<=|>|<)\s*([-+]?[\d.]+(?:e[-+]?\d+)?)\s*", re.IGNORECASE)


@dataclass(frozen=True)
class Requirement:
    """A bound on a figure, such as dev.accuracy >= 0.9."""

    figure: str
    comparison: str
    bound: float

    def __str__(self) -> str:
        return f"{self.figure}{self.comparison}{self.bound:g}"

    def is_met(self, value: float) -> bool:
        """Whether the figure keeps the bound; NaN keeps none."""
        return HOLDS[self.comparison](value, self.bound)


def parse_requirements(text: str | None) -> list[Requirement]:
    """The requirements between commas; raises UserError for all that cannot be read."""
    found, errors = [], []
    for part in (text or "").split(",") if text else ():
        match = FORM.fullmatch(part)
        try:
            if match is None:
                raise ValueError
            found.append(Requirement(match[1], match[2], float(match[3])))
        except ValueError:
            errors.append(
                UserError(
                    "--require cannot be read",
                    repr(part),
                    'write FIGURE>=NUMBER in quotes, as in --require "dev.accuracy>=0.90"',
                )
            )
    raise_all(errors)
    return found
