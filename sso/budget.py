"""The write budget: all instances together stay inside what Graph takes, and onboarding goes ahead of bulk assignment.

Graph takes 3,000 writes in 150 s of one app in one tenant (learn.microsoft.com/graph/throttling-limits). What every
instance shares is one moment: until when writes are reserved (virtual scheduling, as in the generic cell rate
algorithm: ITU-T I.371). Whoever wants to write moves it on by the time that its writes take at the budget's pace.

    urgent (onboarding, leavers)   writes at once while at most 5 s are reserved
    bulk                           waits for its place while at most 3 s are reserved, else gets a place in the line

So what is urgent passes whatever bulk has reserved, and bulk is let in again only when that is made up for. Every 150 s
hold at most `PACE * (150 + 5) + 20` writes, which is below 3,000; a test counts them.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sso import steps
from sso.steps import Step

WRITES, WINDOW = 3000, 150.0  # what Graph takes, and in how many seconds
PACE = 0.96 * WRITES / WINDOW  # writes a second
AHEAD = 3.0  # seconds that may be reserved where bulk takes a place
BURST = 5.0  # seconds that may be reserved where urgent writes go at once
LEAD = AHEAD + 2.0  # seconds before its place in the line at which a message comes again: it may come late
NONSENSE = 60.0  # seconds: so much is reserved by a clock that is wrong, and by nothing else
LONGEST_LINE = 6 * 3600.0  # seconds, after which the line begins anew: what stands in it asks again anyway

# Steps that write nothing to the directory: mails have limits of their own, the vault too, batches reserve for
# themselves.
_FREE = (steps.Assign, steps.MailHandoff, steps.MailCode, steps.Remind, steps.WarnOfEnd, steps.CloseStaged)


@dataclass(frozen=True)
class Budget:
    """What all instances share: until when writes are reserved, and where the line of waiting batches ends."""

    reserved: datetime
    line: datetime
    etag: str | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Place:
    """The answer to whoever wants to write."""

    budget: Budget
    granted: bool
    wait: float  # seconds until the writes may be made; where not granted, until it may ask again


def ask(
    budget: Budget | None, writes: int, now: datetime, *, urgent: bool = False, in_line: bool = False, scale: float = 1
) -> Place:
    """Reserve so many writes, at most 20 of bulk; `in_line` is bulk that has waited for the place it was given.

    `scale` is the length of a second; the waits that are answered are seconds of that length.
    """
    second = timedelta(seconds=scale)
    budget = _sane(budget, now, second)
    ahead = (budget.reserved - now) / second
    span = writes / PACE * second
    if ahead <= (BURST if urgent else AHEAD):
        return Place(replace(budget, reserved=budget.reserved + span), granted=True, wait=0.0 if urgent else ahead)
    if urgent:
        return Place(budget, granted=False, wait=ahead - BURST)
    if in_line:
        return Place(budget, granted=False, wait=ahead - AHEAD)
    place = max(budget.line, budget.reserved)
    wait = max((place - now) / second - LEAD, ahead - AHEAD)
    return Place(replace(budget, line=place + span), granted=False, wait=wait)


def _sane(budget: Budget | None, now: datetime, second: timedelta) -> Budget:
    """What is reserved from now on; a row of a clock that was wrong counts as none."""
    if budget is None:
        return Budget(now, now)
    reserved = budget.reserved if budget.reserved - now <= NONSENSE * second else now
    line = budget.line if budget.line - now <= LONGEST_LINE * second else now
    return replace(budget, reserved=max(reserved, now), line=max(line, now))


def cost(planned: Iterable[Step]) -> int:
    """How many writes to the directory a plan comes to."""
    return sum(not isinstance(step, _FREE) for step in planned)
