"""Rate limits of visitors: a token bucket each, the oldest of too many forgotten."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

MOST_VISITORS = 50_000


class RateLimit:
    """Allows each visitor `burst` requests at once and then `per_second` of them.

    Source: the token bucket of RFC 2697, section 3.

    Args:
        per_second: Requests in a second in the long run.
        burst: Requests at once.
        clock: Returns seconds.
    """

    def __init__(self, per_second: float, burst: int, clock: Callable[[], float] = time.monotonic):
        self.per_second, self.burst, self._clock = per_second, burst, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_for(self, visitor: str) -> float:
        """Count a request; returns 0 where it is allowed, else the seconds until one is."""
        now = self._clock()
        tokens, at = self._buckets.pop(visitor, (float(self.burst), now))
        tokens = min(self.burst, tokens + (now - at) * self.per_second)
        allowed = tokens >= 1
        self._buckets[visitor] = (tokens - allowed, now)
        if len(self._buckets) > MOST_VISITORS:
            self._buckets.popitem(last=False)
        return 0.0 if allowed else (1 - tokens) / self.per_second
