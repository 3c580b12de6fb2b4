"""The fault plan: which call, counted from the plan's arrival, is to meet what.

[{"operation": "applications.application.addPassword", "nth": 2, "fault": "hold", "when": "after"}]

operation    as GET /calls shows it, or "*"
service      graph, authority, vault, table, queue; left out, any
path         a part of the path and query as they were sent; left out, any
nth, times   from the nth such call on (1), so many of them (1; null: all)
fault        refuse: 403 or `status`        throttle: 429, `retry_after` 5 | "date:5" | null
             unavailable: 503 or `status`   lose_answer: after its effect, a cut connection or `status`
             delay: `seconds` of the sandbox's clock, then its effect
             hold: `when` "before" or "after" its effect, until the next plan; a caller that is dead by then has,
             where it was held before, not made the call
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

Kind = Literal["refuse", "lose_answer", "delay", "throttle", "unavailable", "hold"]
When = Literal["before", "after"]

SERVICES = ("graph", "authority", "vault", "table", "queue")
_DEFAULT_STATUS: dict[Kind, int] = {"refuse": 403, "throttle": 429, "unavailable": 503}
_FIELDS: dict[str, tuple[type, ...]] = {
    "operation": (str,),
    "service": (str,),
    "path": (str,),
    "nth": (int,),
    "times": (int, type(None)),
    "fault": (str,),
    "when": (str,),
    "seconds": (int, float),
    "status": (int,),
    "retry_after": (int, str, type(None)),
}


class PlanError(ValueError):
    """A plan that cannot be followed; the sentence says which entry, and what is expected there."""


@dataclass(frozen=True)
class Fault:
    """What one call meets."""

    kind: Kind
    when: When = "before"
    """Whether a held call waits before or after its effect."""
    seconds: float = 0.0
    """How long a delayed call takes, on the sandbox's clock."""
    status: int | None = None
    """What is answered; without one, a lost answer is a cut connection."""
    retry_after: int | None = None
    as_date: bool = False


@dataclass
class Planned:
    """One entry of a plan."""

    operation: str
    service: str | None
    path: str | None
    nth: int
    times: int | None
    fault: Fault
    seen: int = field(default=0)
    """How many calls it has counted."""

    def meets(self, service: str, operation: str, path: str) -> bool:
        """Count a call that it is about, and tell whether it is one that meets the fault."""
        if self.operation not in ("*", operation) or self.service not in (None, service):
            return False
        if self.path is not None and self.path not in path:
            return False
        self.seen += 1
        return self.nth <= self.seen and (self.times is None or self.seen < self.nth + self.times)

    def to_json(self) -> dict[str, Any]:
        """Return the entry as `GET /faults` shows it."""
        return {
            "operation": self.operation,
            "service": self.service,
            "path": self.path,
            "nth": self.nth,
            "times": self.times,
            "fault": self.fault.kind,
            "seen": self.seen,
        }


def read_plan(entries: Any) -> list[Planned]:
    """Read the body of `PUT /faults`; raises PlanError."""
    if not isinstance(entries, Sequence) or isinstance(entries, str):
        raise PlanError("Expected a list of faults; an empty one ends all of them.")
    return [_planned(entry, place) for place, entry in enumerate(entries)]


def next_fault(plan: Sequence[Planned], service: str, operation: str, path: str) -> Fault | None:
    """Count a call in every entry and return the first fault that it meets."""
    met = [planned.fault for planned in plan if planned.meets(service, operation, path)]
    return met[0] if met else None


def _planned(entry: Any, place: int) -> Planned:
    if not isinstance(entry, Mapping):
        raise PlanError(f"Fault {place}: expected an object.")
    for name, value in entry.items():
        if name not in _FIELDS or not isinstance(value, _FIELDS[name]) or isinstance(value, bool):
            raise PlanError(f"Fault {place}: expected fields among {', '.join(_FIELDS)}; found '{name}': {value!r}.")
    kind: Any = entry.get("fault")
    service, nth = entry.get("service"), entry.get("nth", 1)
    if not entry.get("operation") or kind not in get_args(Kind):
        raise PlanError(
            f"Fault {place}: expected an operation as GET /calls shows it, or '*', and a fault among "
            f"{', '.join(get_args(Kind))}; found {entry.get('operation')!r} and {kind!r}."
        )
    if service not in (None, *SERVICES) or nth < 1:
        raise PlanError(f"Fault {place}: expected nth from 1 on, and a service among {', '.join(SERVICES)}.")
    when = entry.get("when", "before")
    if when not in get_args(When):
        raise PlanError(f"Fault {place}: expected 'before' or 'after' for 'when'; found '{when}'.")
    retry_after, as_date = _retry_after(entry, kind, place)
    fault = Fault(
        kind,
        when,
        float(entry.get("seconds", 0.0)),
        entry.get("status", _DEFAULT_STATUS.get(kind)),
        retry_after,
        as_date,
    )
    return Planned(str(entry["operation"]), service, entry.get("path"), nth, entry.get("times", 1), fault)


def _retry_after(entry: Mapping[str, Any], kind: Kind, place: int) -> tuple[int | None, bool]:
    """Return the seconds of `retry_after`, and whether `"date:5"` asks for them as an HTTP date."""
    wanted = entry.get("retry_after", 5 if kind == "throttle" else None)
    if isinstance(wanted, str):
        word, _, seconds = wanted.partition(":")
        if word != "date" or not seconds.isdecimal():
            raise PlanError(f"Fault {place}: expected retry_after as seconds, 'date:SECONDS' or null.")
        return int(seconds), True
    return wanted, False
