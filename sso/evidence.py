"""What Entra's report of credential use says to whoever is reminded of a hand-off: a hint, and never a reason to act.

The report lags by up to two days, and no row is no proof of disuse (graph-contract 15): nothing is decided by it.
"""

from datetime import datetime, timedelta

from sso.letters import moment

# What is later than this after our own last proof of the new secret, with room for two clocks, is not ours.
AFTER_PROOF = timedelta(hours=1)


def hints(new_used: datetime | None, old_used: datetime | None, proved: datetime) -> tuple[str, ...]:
    """The sentences of a reminder: when the new secret, and the one that it succeeds, were used last by others."""
    since = proved + AFTER_PROOF
    told = []
    if new_used and new_used >= since:
        told.append(
            f"Somebody has signed in with the new secret, last on {moment(new_used)}. If it is installed and tested,"
            " say so on the page."
        )
    if old_used and old_used >= since:
        told.append(f"The secret before it was still in use on {moment(old_used)}.")
    return tuple(told)
