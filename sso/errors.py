"""What can go wrong, told apart by whether trying again helps.

    GatehouseError
    |-- Refused        the request must change: nothing happens by trying again (HTTP 400, 403, 404, 409, 413, 415)
    |-- NotReady       later: the same call will do after `retry_after`
    `-- TenantError    an operator must act in the tenant, the vault or the deployment

Clients map every answer of Graph, Key Vault and the token service to these by (operation, status, code); handlers never
look into messages. `function_app.py` maps them to HTTP statuses.
"""

from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Literal


def pause_in(retry_after: str | None, now: datetime) -> float | None:
    """The seconds that a `Retry-After` asks for, a number or an HTTP date (RFC 9110 section 10.2.3); None without."""
    if retry_after is None:
        return None
    if retry_after.strip().isdigit():
        return float(retry_after)
    try:
        moment = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    return max(0.0, (moment - now).total_seconds())


@dataclass(frozen=True)
class Reason:
    """One thing that is wrong: the field to blame (a JSON path, or `tenant`) and a sentence that says what to do."""

    field: str
    detail: str


class GatehouseError(Exception):
    """Anything Gatehouse says it cannot do; `reasons` is never empty and never holds a secret."""

    def __init__(self, *reasons: Reason) -> None:
        """Keep every reason; the message is their sentences."""
        super().__init__(" ".join(reason.detail for reason in reasons))
        self.reasons = reasons


class Refused(GatehouseError):
    """The request cannot be carried out as it stands; `status` is the HTTP status that says why."""

    def __init__(self, *reasons: Reason, status: int = 400) -> None:
        """Refuse with every reason at once."""
        super().__init__(*reasons)
        self.status = status


class NotReady(GatehouseError):
    """The outside world is not ready yet; try again after `retry_after` seconds.

    `waiting_for` is the word that the operation shows. `unknown` says that the call may have been carried out all the
    same: no answer came, or one that is known to lie.
    """

    def __init__(
        self,
        detail: str,
        *,
        retry_after: float,
        waiting_for: Literal["replication", "throttling", "time", "release"] = "replication",
        unknown: bool = False,
    ) -> None:
        """Say what is waited for and for how long."""
        super().__init__(Reason("tenant", detail))
        self.retry_after = retry_after
        self.waiting_for = waiting_for
        self.unknown = unknown


class TenantError(GatehouseError):
    """The tenant, the vault or the deployment must be changed by an operator before trying again helps.

    `missing` names a permission where one is missing, so that a caller can wait for exactly that.
    """

    def __init__(self, detail: str, *, missing: str | None = None) -> None:
        """Say what was found and what to do about it."""
        super().__init__(Reason("tenant", detail))
        self.missing = missing
