"""Token buckets: what a service takes in some seconds, and how long a caller must wait who asks for more."""

from collections.abc import Callable
from datetime import datetime
from math import ceil

_FULLEST = 1.8
"""Rejected calls count, but x-ms-throttle-limit-percentage ends at 1.8 (graph-contract section 5)."""


class Bucket:
    """Fills with each call and leaks evenly."""

    def __init__(self, now: Callable[[], datetime], seconds: float) -> None:
        self._now = now
        self._seconds = seconds
        self._level = 0.0
        self._looked = now()

    def take(self, cost: float, limit: int) -> int:
        """Count a call and return 0, or the whole seconds to wait where it is over the limit; a limit of 0 is none."""
        if not limit:
            return 0
        self._leak(limit)
        self._level = min(self._level + cost, limit * _FULLEST)
        return ceil((self._level - limit) * self._seconds / limit) if self._level > limit else 0

    def share(self, limit: int) -> float:
        """Return how full it is."""
        if not limit:
            return 0.0
        self._leak(limit)
        return self._level / limit

    def _leak(self, limit: int) -> None:
        now = self._now()
        # A clock that was set back has let nothing flow out.
        passed = max((now - self._looked).total_seconds(), 0.0)
        self._level = max(self._level - passed * limit / self._seconds, 0.0)
        self._looked = now
