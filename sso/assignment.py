"""Who gets and who loses which role: the order in which a role is chosen, and how a batch of changes ends."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from sso.errors import NotReady, Reason, Refused
from sso.model import NO_ROLE, AppRole, AppRoleId, ObjectId, Principal

BATCH_SIZE = 20  # requests in one Graph $batch (learn.microsoft.com/graph/json-batching)
LONGEST_PAUSE = 60.0  # seconds between two attempts that wait for replication; the first come after five
EMPTY_READS = 5  # reads that must find nothing to take away before "already gone" is believed: replicas lag
# A message that comes earlier than its batch may be carried out is another delivery; clocks differ by less than this.
MARGIN = timedelta(seconds=5)
OVERDUE = timedelta(minutes=2)  # after which the message of a batch counts as lost
NAME_LENGTH = 60  # characters of a name that a row keeps, so that a thousand of them fit

Direction = Literal["grant", "revoke"]
ChangeState = Literal["queued", "done", "refused"]
Place = tuple[ObjectId, ObjectId, AppRoleId | None, Direction]  # who, which service principal, role, which way


class NothingFound(NotReady):
    """A removal found nothing to take away: already gone, or a replica lags."""

    def __init__(self) -> None:
        """Look again in five seconds."""
        super().__init__("Nothing to take away was found yet.", retry_after=5.0)


# What an attempt came to: None where the change holds now, why it was refused, or why it must be tried again.
Outcome = NotReady | Reason | None


@dataclass(frozen=True)
class Change:
    """One role of one application that a principal gets or loses, and what became of it."""

    principal_id: ObjectId
    kind: str  # "user" | "group"
    name: str
    service_principal_id: ObjectId
    role_id: AppRoleId | None  # None, for a revocation: whatever role is held
    direction: Direction = "grant"
    state: ChangeState = "queued"
    reason: str | None = None
    remark: str | None = None  # what stays true once it is done, such as access that comes through a group
    empty_reads: int = 0

    @property
    def place(self) -> Place:
        """What it is about, whatever became of it."""
        return self.principal_id, self.service_principal_id, self.role_id, self.direction

    def after(self, outcome: Outcome, *, last: bool) -> "Change":
        """The change after an attempt; the last one waits for no replica any more."""
        if outcome is None:
            return replace(self, state="done")
        if isinstance(outcome, Reason):
            return replace(self, state="refused", reason=outcome.detail)
        reads = self.empty_reads + 1 if isinstance(outcome, NothingFound) else 0
        if reads >= EMPTY_READS:
            return replace(self, state="done")
        if last and reads == 0 and outcome.waiting_for == "replication":
            return replace(self, state="refused", reason=outcome.reasons[0].detail)
        return replace(self, empty_reads=reads)


def grant(principal: Principal, service_principal_id: ObjectId, role_id: AppRoleId) -> Change:
    """A principal gets a role."""
    return Change(
        principal.object_id, principal.kind, principal.name[:NAME_LENGTH], service_principal_id, role_id, "grant"
    )


def revoke(
    principal: Principal, service_principal_id: ObjectId, role_id: AppRoleId | None = None, remark: str | None = None
) -> Change:
    """A principal loses one role, or whatever it holds of the application."""
    name = principal.name[:NAME_LENGTH]
    return Change(principal.object_id, principal.kind, name, service_principal_id, role_id, "revoke", remark=remark)


@dataclass(frozen=True)
class Batch:
    """Up to 20 changes that are carried out by one Graph `$batch`."""

    number: int
    changes: tuple[Change, ...]
    not_before: datetime  # when its message is due; a message that comes earlier is another delivery
    urgent: bool = False  # ahead of the others in the write budget, such as a leaver's
    in_line: bool = False  # it has waited for its place in the write budget
    since: datetime | None = None  # when it was first attempted
    etag: str | None = None

    @property
    def open(self) -> tuple[Change, ...]:
        """The changes that are neither made nor refused."""
        return tuple(change for change in self.changes if change.state == "queued")

    @property
    def writes(self) -> int:
        """How many writes the next attempt may take: a removal of what was not found is first looked for again."""
        return sum(change.empty_reads == 0 for change in self.open)

    def is_early(self, now: datetime, scale: float) -> bool:
        """Whether its own message is still under way, so that this one is another delivery of an older one."""
        return self.not_before - now > MARGIN * scale

    def is_overdue(self, now: datetime, age: timedelta) -> bool:
        """Whether something is open whose message should have come this long ago."""
        return bool(self.open) and now - self.not_before >= age

    def took(self, outcomes: Sequence[Outcome], now: datetime, patience: timedelta) -> tuple["Batch", float]:
        """The batch after an attempt at what was open, and the seconds that what is still open should wait.

        `patience` is how long replication is waited for from the first attempt on; the longer it lasts, the longer is
        each pause.
        """
        since = self.since or now
        waited = (now - since) / patience
        last = waited >= 1
        after = {c: (c.after(outcome, last=last), outcome) for c, outcome in zip(self.open, outcomes, strict=True)}
        waits = [
            _pause(outcome, waited)
            for change, outcome in after.values()
            if isinstance(outcome, NotReady) and change.state == "queued"
        ]
        changes = tuple(after[change][0] if change in after else change for change in self.changes)
        return replace(self, changes=changes, since=since, in_line=False), max(waits, default=0.0)

    def reopened(self, now: datetime) -> "Batch":
        """The batch with everything that was refused to be tried once more."""
        again = tuple(replace(c, state="queued", reason=None) if c.state == "refused" else c for c in self.changes)
        return replace(self, changes=again, since=None, in_line=False, not_before=now)


def _pause(outcome: NotReady, waited: float) -> float:
    """The seconds to wait after an outcome; for replication longer, as more of the patience is over."""
    if outcome.waiting_for != "replication":
        return outcome.retry_after
    return max(outcome.retry_after, min(LONGEST_PAUSE, 3 * LONGEST_PAUSE * waited))


def choose_role(roles: Iterable[AppRole], wanted: str | None) -> AppRoleId:
    """Choose the role to grant; raises `Refused` where the wanted one does not exist.

    Order (graph-contract 10): the wanted value or name, `User`, `msiam_access`, and "default access" for an application
    that publishes no roles.
    """
    usable = [role for role in roles if role.enabled and role.for_users]
    if wanted:
        for role in usable:
            if wanted in (role.value, role.display_name):
                return role.id
        # A gallery role `User` has no value and an application without roles knows only default access.
        if not usable and wanted == "User":
            return NO_ROLE
        names = ", ".join(f"'{role.value or role.display_name}'" for role in usable) or "none"
        raise Refused(
            Reason("assignments.role", f"The application has no role '{wanted}'; it has {names}. Name one of these.")
        )
    for name in ("User", "msiam_access"):
        for role in usable:
            if name in (role.value, role.display_name):
                return role.id
    return usable[0].id if usable else NO_ROLE


def batches(changes: Iterable[Change], now: datetime, *, first: int = 1, urgent: bool = False) -> tuple[Batch, ...]:
    """Split changes into batches that are due now, numbered from `first`."""
    every = tuple(changes)
    chunks = [every[start : start + BATCH_SIZE] for start in range(0, len(every), BATCH_SIZE)]
    return tuple(Batch(first + n, chunk, now, urgent) for n, chunk in enumerate(chunks))


def refusals(batches: Iterable[Batch]) -> tuple[Reason, ...]:
    """The changes that were refused, each with its reason."""
    return tuple(
        Reason("assignments", f"{change.name} ({change.principal_id}): {change.reason}")
        for batch in batches
        for change in batch.changes
        if change.state == "refused"
    )


def remarks(batches: Iterable[Batch]) -> tuple[Reason, ...]:
    """What stays true of changes that were made."""
    return tuple(
        Reason("assignments", f"{change.name} ({change.principal_id}) {change.remark}")
        for batch in batches
        for change in batch.changes
        if change.state == "done" and change.remark
    )
