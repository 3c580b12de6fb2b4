"""A request that names who gets and who loses access to one application: read, compared with the directory, planned."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter

from sso.assignment import Change, choose_role, grant, revoke
from sso.errors import Reason, Refused
from sso.model import AppRoleId, Key, ObjectId, Principal
from sso.observed import Observed
from sso.operation import StepRecord
from sso.request import TICKET, Reader
from vendors.profile import Profile

PRINCIPALS = 1000  # at most, in one request
# App role assignments of one user or group over all applications
# (learn.microsoft.com/entra/identity/users/directory-service-limits-restrictions).
MOST_ASSIGNMENTS = 1500
NEARLY = 1400  # assignments of one principal after which a plan says so
FIELDS = ("add", "remove", "role", "ticket", "requested_by")
NAMED = 3  # names in one sentence


@dataclass(frozen=True)
class Draft:
    """The well-formed parts of a request, not yet compared with the directory."""

    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    role: str | None = None
    ticket: str | None = None
    requested_by: str | None = None


@dataclass(frozen=True)
class Facts:
    """What only the directory knows of a draft."""

    observed: Observed
    hits: Mapping[str, tuple[Principal, ...]]  # text -> users and groups of that name
    held: Mapping[ObjectId, int] = field(default_factory=dict)  # assignments of each that is added, all applications
    nested: Mapping[ObjectId, tuple[str, ...]] = field(default_factory=dict)  # groups inside each group that is added
    members: Mapping[ObjectId, frozenset[ObjectId]] = field(default_factory=dict)  # of each group that has access


@dataclass(frozen=True)
class AccessRequest:
    """A request that has passed both checks; its changes move to batches once it runs."""

    key: Key
    changes: tuple[Change, ...] = ()
    ticket: str | None = None
    requested_by: str | None = None


@dataclass(frozen=True)
class AccessPlan:
    """What a request would do, and what stays true beside it."""

    request: AccessRequest
    steps: tuple[StepRecord, ...]
    notes: tuple[str, ...]


_REQUEST = TypeAdapter(AccessRequest)


def to_json(request: AccessRequest) -> dict[str, Any]:
    """A request as an operation's row keeps it."""
    return dict(_REQUEST.dump_python(request, mode="json"))


def from_json(kept: Mapping[str, Any]) -> AccessRequest:
    """Read a request back from an operation's row."""
    return _REQUEST.validate_python(kept)


def parse(body: object) -> tuple[Draft, tuple[Reason, ...]]:
    """Read a request; what is malformed is missing from the draft and named in the reasons."""
    reader = Reader()
    if not isinstance(body, dict):
        detail = 'The body must be one JSON object, such as {"add": ["b.simon@contoso.com"], "remove": []}.'
        return Draft(), (Reason("", detail),)
    reader.only(body, FIELDS)
    add, remove = (reader.lines(body.get(name), name, PRINCIPALS) for name in ("add", "remove"))
    if sum(len(body[name]) for name in ("add", "remove") if isinstance(body.get(name), list)) > PRINCIPALS:
        reader.refuse("", f"A request names at most {PRINCIPALS} principals. Split it, or assign a group.")
    if both := {name.casefold() for name in add} & {name.casefold() for name in remove}:
        reader.refuse("remove", f"{_some(sorted(both))} stands in 'add' and in 'remove'. Name each once.")
    if not add and not remove and not reader.reasons:
        reader.refuse("", "Nobody is named in 'add' or 'remove'.")
    draft = Draft(
        add=add,
        remove=remove,
        role=reader.text(body, "role", "role"),
        ticket=reader.text(body, "ticket", "ticket", lambda text: bool(TICKET.fullmatch(text))),
        requested_by=reader.text(body, "requested_by", "requested_by"),
    )
    return draft, tuple(reader.reasons)


def plan(key: Key, profile: Profile, draft: Draft, facts: Facts) -> AccessPlan:
    """The changes that are missing, with what is said before it bites; raises `Refused` with every reason."""
    service_principal = facts.observed.service_principal
    if service_principal is None:
        detail = f"There is no onboarded application '{key}'. Onboard it first."
        raise Refused(Reason("instance", detail), status=404)
    if draft.add and (since := facts.observed.offboarded):
        detail = f"'{key}' is offboarded since {since:%Y-%m-%d}: nobody can be given access. Onboard it again first."
        raise Refused(Reason("instance", detail), status=409)
    reasons = [*_check("add", draft.add, facts), *_check("remove", draft.remove, facts)]
    added, removed = _principals(draft.add, facts), _principals(draft.remove, facts)
    if both := added.keys() & removed.keys():
        names = _some(sorted(added[object_id].name for object_id in both))
        reasons.append(Reason("remove", f"{names} stands in 'add' and in 'remove', by two names. Name each once."))
    role_id: AppRoleId | None = None
    try:
        if draft.role or added:
            role_id = choose_role(service_principal.app_roles, draft.role or profile.people.role)
    except Refused as refused:
        reasons += [Reason("role", reason.detail) for reason in refused.reasons]
    if reasons:
        raise Refused(*reasons)
    held = {(assignment.principal_id, assignment.role_id) for assignment in facts.observed.assignments}
    wanted = {i: principal for i, principal in added.items() if (i, role_id) not in held}
    through = through_groups(facts.observed, facts.members)
    losing = [
        revoke(principal, service_principal.object_id, role_id if draft.role else None, keeps(through.get(i, ())))
        for i, principal in removed.items()
    ]
    giving = [grant(p, service_principal.object_id, role_id) for p in wanted.values()] if role_id else []
    request = AccessRequest(key, (*losing, *giving), draft.ticket, draft.requested_by)
    notes = [
        *_without(removed, {principal for principal, _ in held}),
        *(f"{change.name} {change.remark}" for change in losing if change.remark),
        *_limits(wanted, facts),
        *([f"{len(added) - len(wanted)} of {len(added)} have this role already."] if len(wanted) < len(added) else []),
    ]
    return AccessPlan(request, tuple(_steps(profile.name, draft.role, losing, giving)), tuple(notes))


def through_groups(
    observed: Observed, members: Mapping[ObjectId, frozenset[ObjectId]]
) -> Mapping[ObjectId, tuple[str, ...]]:
    """The groups, by name, through which each member has access; only direct members have."""
    found: dict[ObjectId, tuple[str, ...]] = {}
    groups = {a.principal_id: a.principal_name for a in observed.assignments if a.principal_kind == "group"}
    for group, name in sorted(groups.items(), key=lambda entry: entry[1]):
        for member in members.get(group, ()):
            found[member] = (*found.get(member, ()), name)
    return found


def keeps(groups: tuple[str, ...]) -> str | None:
    """What stays true of somebody whose own assignment is removed and who belongs to groups that have access."""
    if not groups:
        return None
    which = "the group" if len(groups) == 1 else "the groups"
    return f"keeps access through {which} {_some(groups)}; it ends with the membership or the account."


def _check(name: str, texts: tuple[str, ...], facts: Facts) -> Iterable[Reason]:
    for number, text in enumerate(texts):
        where, found = f"{name}[{number}]", facts.hits.get(text, ())
        if not found:
            detail = (
                f"The directory has no user with the user principal name, mail address, alias or object ID '{text}',"
                " and no group with that name or object ID. Correct it."
            )
            yield Reason(where, detail)
        elif len(found) > 1:
            hits = ", ".join(f"{principal.kind} {principal.object_id}" for principal in found[:5])
            yield Reason(where, f"'{text}' is ambiguous: {len(found)} entries have it ({hits}). Use an object ID.")
        elif name == "add" and found[0].kind == "group" and not found[0].security_group:
            yield Reason(where, f"The group '{text}' is not security-enabled, and only such groups can be assigned.")
        elif name == "add" and facts.held.get(found[0].object_id, 0) >= MOST_ASSIGNMENTS:
            yield Reason(
                where,
                f"'{text}' has {facts.held[found[0].object_id]} app role assignments, and Entra allows"
                f" {MOST_ASSIGNMENTS} of one principal. Remove some, or assign a group.",
            )


def _principals(texts: tuple[str, ...], facts: Facts) -> dict[ObjectId, Principal]:
    found = [facts.hits[text][0] for text in texts if len(facts.hits.get(text, ())) == 1]
    return {principal.object_id: principal for principal in found}


def _without(removed: Mapping[ObjectId, Principal], held: set[ObjectId]) -> Iterable[str]:
    for object_id, principal in removed.items():
        if object_id not in held:
            yield f"{principal.name} has no assignment of its own here, as far as is seen."


def _limits(wanted: Mapping[ObjectId, Principal], facts: Facts) -> Iterable[str]:
    for object_id, principal in wanted.items():
        if (count := facts.held.get(object_id, 0)) >= NEARLY:
            yield f"{principal.name} has {count} of {MOST_ASSIGNMENTS} app role assignments; a group would hold more."
        if inside := facts.nested.get(object_id):
            yield f"Inside '{principal.name}' is {_some(inside)}: only direct members get access, nested ones nothing."
        if principal.kind == "user" and not principal.enabled:
            yield f"The account of {principal.name} is disabled, so it cannot sign in."


def _steps(name: str, role: str | None, losing: list[Change], giving: list[Change]) -> Iterable[StepRecord]:
    which = f" as '{role}'" if role else ""
    if losing:
        affects = f"{_people(losing)} can no longer sign in, except where a group still gives access"
        yield StepRecord("revoke", f"Take the access to {name}{which} from {_names(losing)}.", affects, "planned")
    if giving:
        affects = f"{_people(giving)} can sign in"
        yield StepRecord("assign", f"Give {_names(giving)} access to {name}{which}.", affects, "planned")


def _people(changes: list[Change]) -> str:
    return f"{len(changes)} {'principals' if len(changes) > 1 else 'principal'}"


def _names(changes: list[Change]) -> str:
    names = ", ".join(change.name for change in changes[:NAMED])
    return f"{names} and {len(changes) - NAMED} more" if len(changes) > NAMED else names


def _some(names: Iterable[str]) -> str:
    every = [f"'{name}'" for name in names]
    return ", ".join(every[:NAMED]) + (f" and {len(every) - NAMED} more" if len(every) > NAMED else "")
