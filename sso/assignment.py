"""Who gets which role: the order in which a role is chosen, and how a batch of principals ends."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from sso.errors import Reason, Refused
from sso.model import NO_ROLE, AppRole, AppRoleId, ObjectId, Principal

BATCH_SIZE = 20  # requests in one Graph $batch (learn.microsoft.com/graph/json-batching)
GrantState = Literal["queued", "assigned", "refused"]


@dataclass(frozen=True)
class Grant:
    """One principal of a batch and what became of it."""

    principal_id: ObjectId
    kind: str
    name: str
    state: GrantState = "queued"
    reason: str | None = None


@dataclass(frozen=True)
class Batch:
    """Up to 20 principals that get one role of one service principal by one Graph `$batch`."""

    number: int
    service_principal_id: ObjectId
    role_id: AppRoleId
    grants: tuple[Grant, ...]
    attempts: int = 0
    etag: str | None = None

    @property
    def open(self) -> tuple[Grant, ...]:
        """The grants that are neither made nor refused."""
        return tuple(grant for grant in self.grants if grant.state == "queued")

    def record(self, grant: Grant, state: GrantState, reason: str | None = None) -> "Batch":
        """The batch with the outcome of one grant."""
        done = replace(grant, state=state, reason=reason)
        return replace(self, grants=tuple(done if g.principal_id == grant.principal_id else g for g in self.grants))

    def reopened(self) -> "Batch":
        """The batch with everything that was refused to be tried once more."""
        again = tuple(replace(g, state="queued", reason=None) if g.state == "refused" else g for g in self.grants)
        return replace(self, grants=again, attempts=0)


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


def batches(
    principals: Iterable[Principal], service_principal_id: ObjectId, role_id: AppRoleId, first: int = 1
) -> tuple[Batch, ...]:
    """Split principals into batches, numbered from `first`."""
    grants = [Grant(p.object_id, p.kind, p.name) for p in principals]
    chunks = [grants[start : start + BATCH_SIZE] for start in range(0, len(grants), BATCH_SIZE)]
    return tuple(Batch(first + n, service_principal_id, role_id, tuple(chunk)) for n, chunk in enumerate(chunks))
