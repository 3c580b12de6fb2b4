"""The freeze calendar: while a window runs, a renewal begins nothing that can disturb a sign-in or asks for work.

What was begun is finished: a secret that is staged is proved and promoted, a page's code is mailed, an end is warned
of. A compromised credential is renewed all the same, and so is one that could end before its successor had time:
waiting must never be what cuts a sign-in.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from sso import steps
from sso.rotation import WARN_BEFORE
from sso.steps import Pause, Step

# What finishes something begun, and warnings.
FINISHES = (
    steps.PromoteSecret,
    steps.CloseStaged,
    steps.CloseRemoved,
    steps.DiscardSecret,
    steps.MailCode,
    steps.WarnOfEnd,
)
# Held up whatever ends: where a successor is in use already, the end of the old one disturbs nobody.
REMOVES = (steps.RetireSecret, steps.RetireCertificate)
# What a vendor needs after a freeze, and owner and operators before an end: as long as the warning of it.
NOTICE = WARN_BEFORE


def hold_up(
    planned: Iterable[Step], over: datetime | None, ends: datetime | None, now: datetime, needs: timedelta = NOTICE
) -> tuple[tuple[Step, ...], Pause | None]:
    """The steps that may be taken in spite of a freeze, up to the first that it holds up, and the pause for that one.

    `over` is the end of the freeze that runs now, `ends` that of the credential which people use, and `needs` the time
    that its vendor may take after a freeze.
    """
    if over is None:
        return tuple(planned), None
    taken: list[Step] = []
    notice = max(NOTICE, needs)
    for step in planned:
        if isinstance(step, FINISHES):
            taken.append(step)
        elif isinstance(step, REMOVES) or ends is None or ends >= over + notice:
            return tuple(taken), Pause("time", f"the end of the freeze on {over:%Y-%m-%d}", _look(over, ends, now))
        else:
            reason = f" In spite of the freeze until {over:%Y-%m-%d}: the credential in use ends on {ends:%Y-%m-%d}."
            taken.append(replace(step, sentence=step.sentence + reason))
    return tuple(taken), None


def _look(over: datetime, ends: datetime | None, now: datetime) -> datetime:
    """When to look again: at the end of the freeze, and before it when somebody must be warned of an end."""
    warn = ends - NOTICE if ends else over
    return min(over, warn) if warn > now else over
