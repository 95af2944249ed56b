"""The exact McNemar test on the examples that only one of two models answers correctly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Agreement:
    """How many of N examples are right in both of two models, in one of them only, in neither.

    Where answers are graded, "right" is the better answer of the two: the test is then the sign
    test.
    """

    both: int
    only_a: int
    only_b: int
    neither: int

    @property
    def p_value(self) -> float:
        """Of the exact test."""
        return mcnemar_exact(self.only_a, self.only_b)

    @property
    def least_p_value(self) -> float:
        """The p-value had one model won all the examples on which they differ."""
        return mcnemar_exact(0, self.only_a + self.only_b)


def mcnemar_exact(only_a: int, only_b: int) -> float:
    """Return the two-sided p-value of no difference between two models.

    Source: McNemar 1947 (https://doi.org/10.1007/BF02295996).
    """
    # Imported here: SciPy's statistics take half a second, and few commands test anything.
    from scipy.stats import binomtest

    differing = only_a + only_b
    return float(binomtest(only_a, differing).pvalue) if differing else 1.0


def count_agreement(right_a: np.ndarray, right_b: np.ndarray) -> Agreement:
    """Count the outcomes of bool [N] each."""
    return Agreement(
        both=int((right_a & right_b).sum()),
        only_a=int((right_a & ~right_b).sum()),
        only_b=int((right_b & ~right_a).sum()),
        neither=int((~right_a & ~right_b).sum()),
    )
