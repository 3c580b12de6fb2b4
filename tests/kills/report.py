"""The numbers of a run, shown when it ends."""

import time
from collections.abc import Sequence

from tests.kills.cutting import Result
from tests.kills.ground import SEED, SOAK
from tests.numbers import say


class Tally:
    """Counts the cases of one test, and says how they ended."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._began = time.monotonic()

    def close(self, results: Sequence[Result], of: int, unit: str) -> None:
        """Note the numbers, then fail with every case that went wrong."""
        reached = [result for result in results if result.reached]
        good = [result for result in reached if not result.wrongs]
        missed = f", {len(results) - len(reached)} did not come up" if len(reached) < len(results) else ""
        share = "" if len(results) == of else f", a seeded share of {of}"
        seconds = time.monotonic() - self._began
        drawn = f"seed {SEED}{', soak' if SOAK else ''}"
        outcome = f"{len(good)} of {len(reached)} {unit}{missed}{share}"
        say(f"killed, cut and refused ({drawn}), {self._what}: {outcome} ({seconds:.0f} s)")
        broken = [str(result) for result in reached if result.wrongs]
        assert not broken, f"{len(broken)} of {len(reached)} went wrong:\n" + "\n".join(broken)
        # A call that comes or not by the clock alone (a lease that is renewed) may stay away now and then.
        assert len(results) - len(reached) <= max(2, len(results) // 10), [str(r) for r in results if not r.reached]
