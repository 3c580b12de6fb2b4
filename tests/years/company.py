"""What a company lives through in these years, drawn from a seed: its vendors' ways, its weather, its accidents.

Each draw is a function of the seed and of what it is about, never of a shared stream: what comes in between changes
nothing.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from sso.model import Key, key_of

Temper = Literal["prompt", "late", "silent"]
ONCE = ("clicktime", "thoropass")  # their identifiers are fixed strings
MANY = ("smarttrace", "hellotracks", "ilogon_mha")
TEMPERS: tuple[Temper, ...] = ("prompt", "prompt", "late", "silent")
LATE = 14  # days that a late vendor takes
WOKEN = timedelta(days=10)  # after what a silent vendor uses has ended, by people who cannot sign in
WEATHERS = (
    {"throttle_share": 0.1, "unavailable_share": 0.0, "lost_answer_share": 0.0},
    {"throttle_share": 0.0, "unavailable_share": 0.1, "lost_answer_share": 0.0},
    {"throttle_share": 0.0, "unavailable_share": 0.0, "lost_answer_share": 0.1},
    {"throttle_share": 0.03, "unavailable_share": 0.03, "lost_answer_share": 0.03},
)
CALM = dict.fromkeys(WEATHERS[0], 0.0)
STORMY_DAYS = 0.012
KILLED = {"tick": 0.02, "run": 0.12}
CALLS = {"tick": 6, "run": 45}  # of one, at most so many: a kill at a later one does not come up


@dataclass(frozen=True)
class Client:
    """One application of ours."""

    key: Key

    @property
    def parameters(self) -> dict[str, str]:
        """What a request must supply."""
        return {"InstanceName": self.key.instance} if self.key.vendor == "smarttrace" else {}


def clients(count: int) -> Iterator[Client]:
    """So many applications, of all five vendors."""
    for number in range(count):
        vendor = ONCE[number] if number < len(ONCE) else MANY[number % len(MANY)]
        yield Client(key_of(vendor, "default" if number < len(ONCE) else f"site-{number}"))


class Chance:
    """Everything that is drawn."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def weather(self, day: int) -> dict[str, float] | None:
        """The weather of a day; None where it is calm."""
        drawn = self._of("weather", day)
        return drawn.choice(WEATHERS) if drawn.random() < STORMY_DAYS else None

    def temper(self, key: Key, turn: int) -> Temper:
        """How the vendor takes the `turn`-th renewal that it is asked to act on."""
        return self._of("temper", key, turn).choice(TEMPERS)

    def delay(self, key: Key, turn: int) -> timedelta:
        """How long a vendor takes that does act."""
        drawn = self._of("delay", key, turn)
        days = LATE if self.temper(key, turn) == "late" else 0
        return timedelta(days=days, hours=drawn.randint(1, 12))

    def cut(self, what: Literal["tick", "run"], name: str, turn: int) -> list[dict[str, Any]]:
        """The faults by which this run is killed at some call, before or after its effect; empty where it is not."""
        drawn = self._of("cut", what, name, turn)
        if drawn.random() >= KILLED[what]:
            return []
        nth, when = drawn.randint(1, CALLS[what]), drawn.choice(("before", "after"))
        # A dead host says nothing more either: whatever the run would still send on its way out is held as well.
        return [
            {"operation": "*", "nth": nth, "fault": "hold", "when": when},
            {"operation": "*", "nth": nth + 1, "times": None, "fault": "hold"},
        ]

    def _of(self, *what: object) -> random.Random:
        return random.Random("/".join(map(str, (self.seed, *what))))
