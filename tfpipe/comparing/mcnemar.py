"""The exact McNemar test: what the texts that only one of two models has right say."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest


@dataclass(frozen=True)
class Agreement:
    """How many of N texts are right in both of two models, in one of them only, in neither.

    Where wrong answers can be more or less so, "right" is the better answer of the two: the test is
    then the sign test.
    """

    both: int
    only_a: int
    only_b: int
    neither: int

    @property
    def p_value(self) -> float:
        """Two-sided, exact: how probable a difference as large as that between only_a and only_b
        is when both models are equally good.

        Source: McNemar 1947 (https://doi.org/10.1007/BF02295996).
        """
        return self._p_of(self.only_a)

    @property
    def least_p_value(self) -> float:
        """What the test would say had one of the models won all the texts that differ."""
        return self._p_of(0)

    def _p_of(self, won: int) -> float:
        differing = self.only_a + self.only_b
        return float(binomtest(won, differing).pvalue) if differing else 1.0


def count_right(right_a: np.ndarray, right_b: np.ndarray) -> Agreement:
    """The counts for bool [N] each."""
    return Agreement(
        both=int((right_a & right_b).sum()),
        only_a=int((right_a & ~right_b).sum()),
        only_b=int((right_b & ~right_a).sum()),
        neither=int((~right_a & ~right_b).sum()),
    )
