"""How long a replica takes to learn of a write (graph-contract section 4)."""

from datetime import timedelta
from math import exp, log
from statistics import NormalDist

from sandbox.unkind.switches import Lag

_NORMAL = NormalDist()
# A lognormal's 99th percentile lies 2.326 deviations above its median.
_ONE_PERCENT = _NORMAL.inv_cdf(0.99)
LONGEST = 300.0
"""Seconds: nobody waits for ever, so a soak comes to its end."""

_MEDIAN_AND_TAIL: dict[Lag, tuple[float, float]] = {"normal": (3.0, 60.0), "bad": (60.0, LONGEST)}


def lag_of(profile: Lag, fraction: float) -> timedelta:
    """Return the lag that a draw comes to: lognormal, cut at five minutes."""
    if profile == "none":
        return timedelta(0)
    median, tail = _MEDIAN_AND_TAIL[profile]
    spread = log(tail / median) / _ONE_PERCENT
    # The ends of the distribution are infinite; a draw of exactly 0 is possible.
    deviation = _NORMAL.inv_cdf(min(max(fraction, 1e-9), 1 - 1e-9))
    return timedelta(seconds=min(median * exp(spread * deviation), LONGEST))
