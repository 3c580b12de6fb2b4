"""People before rules: what the directory says of somebody, what is held, and through which groups."""

import asyncio
import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from clients.entitlements import read_entitlements
from clients.graph.together import together
from clients.ledger import Changed, PersonRow
from clients.tenant.parts import RACES, READ_PAUSE, Parts
from sso.assignment import Change, batches
from sso.decision import Held, Offered
from sso.entitlements import AttributeName, Entitlements, Person
from sso.errors import NotReady, Reason, Refused, TenantError
from sso.hr import Fact
from sso.model import (
    AppRoleAssignment,
    AppRoleId,
    Key,
    ObjectId,
    OperationId,
    Principal,
    fingerprint,
    offboarded_since,
    owner_from_tags,
)
from sso.people_letters import compose_person_joined, compose_person_left
from vendors.profile import Profile


@dataclass(frozen=True)
class Known:
    """Somebody whom the directory knows."""

    principal: Principal
    attributes: Mapping[AttributeName, str]


@dataclass(frozen=True)
class Through:
    """Access that comes by a group; it ends with membership or account."""

    key: Key
    role_id: AppRoleId
    group: str


async def entitlements(parts: Parts) -> Entitlements:
    """The deployment's rules, as the file says now; raises `TenantError`."""
    return await asyncio.to_thread(read_entitlements, parts.settings.entitlements)


async def find_person(parts: Parts, name: str) -> Known | None:
    """Whoever a principal name, address or object ID means; raises `Refused` where it means several people."""
    found = await parts.graph.people_named(name)
    if len(found) > 1:
        raise Refused(Reason("subject", f"{len(found)} people have this name; name the person by object ID."))
    return next((Known(*one) for one in found), None)


async def everybody(parts: Parts) -> list[Known]:
    """Every member of the organisation whose account is enabled; guests are none."""
    return [Known(*one) for one in await parts.graph.all_people() if one[0].enabled and not one[0].guest]


async def offered(parts: Parts) -> dict[Key, Offered]:
    """Every application with our mark, and what people can be given there."""
    managed, principals = await together(parts.graph.managed(), parts.graph.managed_service_principals())
    found = {}
    for key, application in managed:
        service_principal = principals.get(application.client_id)
        profile = parts.catalog.find(key.vendor)
        people = profile.people if profile else None
        if service_principal:
            found[key] = Offered(
                key=key,
                service_principal_id=service_principal.object_id,
                roles=service_principal.app_roles,
                role=people.role if people else None,
                authoritative=bool(people and people.authoritative),
                owner=owner_from_tags(application.tags),
                offboarded=offboarded_since((*application.tags, *service_principal.tags)),
            )
    return found


async def groups_of_rules(parts: Parts, rules: Entitlements) -> Mapping[str, frozenset[ObjectId]]:
    """The direct members of each group that a rule names; raises `TenantError` where a name is none or several."""
    names = sorted(rules.groups)
    if not names:
        return {}
    _, found, _ = await parts.graph.principals([], names, [])
    for name in names:
        if len(found[name]) != 1:
            msg = (
                f"The entitlements name the group '{name}', of which the directory has {len(found[name])}. Write the"
                " object ID of the one you mean."
            )
            raise TenantError(msg)
    members = await asyncio.gather(*(parts.graph.members(found[name][0].object_id) for name in names))
    return dict(zip(names, members, strict=True))


def person(
    known: Known, groups: Mapping[str, frozenset[ObjectId]], said: Mapping[AttributeName, str] | None = None
) -> Person:
    """What rules look at: what an event said of somebody, and the directory for what it did not say."""
    mine = frozenset(name for name, members in groups.items() if known.principal.object_id in members)
    return Person({**known.attributes, **(said or {})}, mine)


async def held_by(parts: Parts, somebody: ObjectId, there: Mapping[Key, Offered]) -> tuple[Held, ...]:
    """A person's own assignments on applications with our mark."""
    return own(await parts.graph.held_by(somebody), there)


def own(assigned: Iterable[AppRoleAssignment], there: Mapping[Key, Offered]) -> tuple[Held, ...]:
    """Those of some assignments that are on applications with our mark."""
    keys = {one.service_principal_id: one.key for one in there.values()}
    return tuple(
        Held(keys[one.service_principal_id], one.role_id, one.id)
        for one in assigned
        if one.service_principal_id in keys
    )


async def held_by_all(parts: Parts, there: Mapping[Key, Offered]) -> Mapping[ObjectId, tuple[Held, ...]]:
    """The same of everybody, by object ID."""
    assigned = await parts.graph.assigned_to([one.service_principal_id for one in there.values()])
    return own_by_person(assigned.values(), there)


def own_by_person(
    assigned: Iterable[Iterable[AppRoleAssignment]], there: Mapping[Key, Offered]
) -> Mapping[ObjectId, tuple[Held, ...]]:
    """Those of people, by object ID."""
    found: dict[ObjectId, list[AppRoleAssignment]] = {}
    for entry in (entry for entries in assigned for entry in entries):
        if entry.principal_kind == "user":
            found.setdefault(entry.principal_id, []).append(entry)
    return {somebody: own(entries, there) for somebody, entries in found.items()}


async def through_groups(parts: Parts, somebody: ObjectId, there: Mapping[Key, Offered]) -> tuple[Through, ...]:
    """The access that a person has by being a direct member of a group."""
    keys = {one.service_principal_id: one.key for one in there.values()}
    assigned = await parts.graph.assigned_to(list(keys))
    grants = [entry for entries in assigned.values() for entry in entries if entry.principal_kind == "group"]
    groups = sorted({entry.principal_id for entry in grants})
    members = dict(zip(groups, await asyncio.gather(*map(parts.graph.members, groups)), strict=True))
    return tuple(
        Through(keys[entry.service_principal_id], entry.role_id, entry.principal_name)
        for entry in grants
        if somebody in members[entry.principal_id]
    )


async def record(parts: Parts, fact: Fact, known: Known | None) -> PersonRow:
    """Note a fact where the person's others are, and return those; repeating it changes nothing.

    What is said of somebody before the account exists is kept under the name, and joins the account's once it does.
    """
    named = await _recorded(parts, ObjectId(fingerprint("subject", fact.subject.casefold())), (fact,))
    if known is None:
        return named
    return await _recorded(parts, known.principal.object_id, (*named.timeline.facts, fact))


async def _recorded(parts: Parts, name: ObjectId, facts: Iterable[Fact]) -> PersonRow:
    for _ in range(RACES):
        row = await parts.ledger.person(name)
        timeline = row.timeline
        for fact in facts:
            timeline = timeline.record(fact)
        if timeline == row.timeline:
            return row
        with contextlib.suppress(Changed):
            return await parts.ledger.put_person(replace(row, timeline=timeline))
    msg = "What is known of this person changes faster than it can be written."
    raise NotReady(msg, retry_after=READ_PAUSE)


async def open_changes(
    parts: Parts, operation: OperationId, changes: Sequence[Change], now: datetime, *, urgent: bool
) -> None:
    """Write batches of an operation behind those that are there, whatever these have done before, and send them.

    To be called where none of its batches is open: so a run that died in between finds them and sends them again.
    """
    there = await parts.ledger.batches(operation)
    for batch in batches(changes, now, first=len(there) + 1, urgent=urgent):
        with contextlib.suppress(Changed):  # another delivery of the same message wrote it
            await parts.ledger.put_batch(operation, batch)
        await parts.queues.send("assignments", operation, batch=batch.number)


async def excluded(parts: Parts) -> frozenset[ObjectId]:
    """Whom no event, rule or timer touches, such as break-glass accounts; raises `TenantError` without that group."""
    group = parts.settings.excluded_group
    if group is None:
        return frozenset()
    if await parts.find_principal(ObjectId(group)) is None:
        msg = "GATEHOUSE_EXCLUDED_GROUP names a group that the directory does not know; correct its object ID."
        raise TenantError(msg)
    return await parts.graph.members(ObjectId(group))


async def mail_joined(
    parts: Parts, operation: OperationId, application: Offered, profile: Profile, added: Sequence[Principal]
) -> None:
    """Tell the owner of an application whom to add at its vendor, in the words of the vendor's form."""
    values = [{"name": one.name, "address": one.address or "none in the directory"} for one in added]
    letter = compose_person_joined(
        application.key,
        profile.name,
        organisation=parts.organisation,
        owner=await _owner(parts, application),
        people=[[(label, one[value]) for value, label in profile.people.account.items()] for one in values],
        guide=profile.guide,
        operation=operation,
    )
    await parts.mail(letter)


async def mail_left(
    parts: Parts, operation: OperationId, application: Offered, profile: Profile, removed: Sequence[Principal]
) -> None:
    """Ask the vendor's contact, or the owner, to remove accounts that no provisioning removes."""
    letter = compose_person_left(
        application.key,
        profile.name,
        organisation=parts.organisation,
        owner=await _owner(parts, application),
        contact=profile.handoff.contact,
        people=removed,
        operation=operation,
    )
    await parts.mail(letter)


async def _owner(parts: Parts, application: Offered) -> Principal | None:
    return await parts.find_principal(application.owner) if application.owner else None
