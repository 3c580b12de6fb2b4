"""From what a person has by rule and what the person holds, to what must change; pure, and said in sentences.

joiner, mover, rehire   what rules give is granted; what no rule gives is taken once its grace is over, on
                        applications that a rule names; others are reported and stay
leaver                  every assignment of one's own is taken; access through a group is told
reconcile               as a mover where the vendor's profile says `authoritative`; elsewhere it is only told
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

from sso.assignment import choose_role
from sso.entitlements import Entitled, Entitlements
from sso.errors import Refused
from sso.model import AppRole, AppRoleId, Key, ObjectId

Cause = Literal["joiner", "mover", "leaver", "rehire", "reconcile"]


@dataclass(frozen=True)
class Offered:
    """An onboarded application to which people can be assigned."""

    key: Key
    service_principal_id: ObjectId
    roles: tuple[AppRole, ...]
    role: str | None = None  # of the profile, for rules that name none
    authoritative: bool = False
    owner: ObjectId | None = None
    offboarded: date | None = None  # since then nobody can be given access

    def role_name(self, role_id: AppRoleId) -> str | None:
        """How people call a role; None for default access."""
        return next((role.value or role.display_name for role in self.roles if role.id == role_id), None)

    def label(self, role_id: AppRoleId) -> str:
        """`clicktime/User`, as plans and reasons write it."""
        parts = (self.key.vendor, self.key.instance if self.key.instance != "default" else None)
        return "/".join(part for part in (*parts, self.role_name(role_id)) if part)


@dataclass(frozen=True)
class Held:
    """One assignment of a person's own; its id is Graph's."""

    key: Key
    role_id: AppRoleId
    assignment_id: str


@dataclass(frozen=True)
class AccessChange:
    """One assignment to make or to take, with its reason."""

    key: Key
    role_id: AppRoleId
    sentence: str
    assignment_id: str | None = None  # of one that is taken
    until: datetime | None = None  # a grace that still runs: it is taken then


@dataclass(frozen=True)
class Decision:
    """What must change for one person."""

    grants: tuple[AccessChange, ...] = ()
    removals: tuple[AccessChange, ...] = ()
    later: tuple[AccessChange, ...] = ()
    told: tuple[str, ...] = ()  # what differs from the rules and is not mended
    notes: tuple[str, ...] = ()  # what stays as it is although a rule or a reader might expect otherwise

    @property
    def next_time(self) -> datetime | None:
        """When the next grace ends."""
        return min((change.until for change in self.later if change.until), default=None)


Losing = Mapping[tuple[Key, AppRoleId], datetime]  # since when no rule gives what a person holds


def decide(
    cause: Cause,
    wanted: Iterable[Entitled],
    held: Iterable[Held],
    offered: Mapping[Key, Offered],
    entitlements: Entitlements,
    *,
    since: datetime,
    now: datetime,
    losing: Losing | None = None,
) -> Decision:
    """What must change now; `since` is when the cause came into force, `losing` since when one was lost before it."""
    if cause == "leaver":
        return Decision(removals=tuple(_taken(h, offered[h.key], "has left") for h in held if h.key in offered))
    wanted, held = tuple(wanted), tuple(held)
    grants, notes, roles = _granted(wanted, held, offered)
    unclear = {entry.key for entry in wanted} - set(roles)  # wanted, and cannot be given as it is wanted
    removals: list[AccessChange] = []
    later: list[AccessChange] = []
    told: list[str] = []
    if cause == "reconcile":
        told += [_not_given(one) for one in grants if not offered[one.key].authoritative]
        grants = [one for one in grants if offered[one.key].authoritative]
    for one in held:
        application = offered.get(one.key)
        if application is None or roles.get(one.key) == one.role_id or one.key in unclear:
            continue
        label = application.label(one.role_id)
        if one.key not in entitlements.grace_days:
            notes.append(f"Keeps {label}: no rule names {one.key}.")
        elif cause == "reconcile" and not application.authoritative:
            told.append(f"Keeps {label}, which no rule gives: the profile of {one.key.vendor} is not authoritative.")
        else:
            lost = min(since, (losing or {}).get((one.key, one.role_id), since))
            until = lost + timedelta(days=entitlements.grace_days[one.key])
            change = _taken(one, application, "no rule gives it any more", until if until > now else None)
            (later if change.until else removals).append(change)
    return Decision(tuple(grants), tuple(removals), tuple(later), tuple(told), tuple(notes))


def _not_given(one: AccessChange) -> str:
    given = one.sentence.removesuffix(".")
    return f"{given}; the profile of {one.key.vendor} is not authoritative, so reconciling does not give it."


def _granted(
    wanted: Iterable[Entitled], held: tuple[Held, ...], offered: Mapping[Key, Offered]
) -> tuple[list[AccessChange], list[str], dict[Key, AppRoleId]]:
    """What is to be granted, what cannot be, and the role that each application is to be held with."""
    grants, notes, roles = [], [], {}
    holds = {(one.key, one.role_id) for one in held}
    for entry in wanted:
        application = offered.get(entry.key)
        if application is None:
            notes.append(f"{entry.sentence}; {entry.key} is not onboarded, so nobody can be given it.")
            continue
        if application.offboarded:
            since = f"{application.offboarded:%Y-%m-%d}"
            notes.append(f"{entry.sentence}; {entry.key} is offboarded since {since}, so nobody is given it.")
            continue
        try:
            role = choose_role(application.roles, entry.role or application.role)
        except Refused as error:
            notes.append(f"{entry.sentence}; {error}")
            continue
        roles[entry.key] = role
        if (entry.key, role) not in holds:
            grants.append(AccessChange(entry.key, role, f"{entry.sentence}."))
    return grants, notes, roles


def _taken(one: Held, application: Offered, why: str, until: datetime | None = None) -> AccessChange:
    label = application.label(one.role_id)
    when = f" on {until:%Y-%m-%d}" if until else ""
    return AccessChange(one.key, one.role_id, f"Loses {label}{when}: {why}.", one.assignment_id, until)


def still_losing(decision: Decision, before: Losing | None, since: datetime) -> Losing:
    """Since when each access is lost that a grace keeps or has kept: no later look begins a grace anew."""
    before = before or {}
    lost = {(change.key, change.role_id) for change in decision.removals} & before.keys()
    return {
        place: min(since, before.get(place, since))
        for place in (*((change.key, change.role_id) for change in decision.later), *lost)
    }
