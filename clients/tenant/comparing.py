"""One look at what everybody holds of the applications with our mark, read in pages, as reconciling compares it."""

import contextlib
from collections.abc import Mapping
from datetime import datetime

from clients.graph.together import together
from clients.ledger import Changed, PersonRow
from clients.tenant import people
from clients.tenant.parts import Parts
from sso.decision import Losing
from sso.model import Key, ObjectId
from sso.reconcile import Seen, Somebody, Team

Rows = Mapping[ObjectId, PersonRow]


async def look(parts: Parts, now: datetime, only: Key | None = None) -> tuple[Seen, Rows]:
    """Read everything that is compared, of one application or of all; raises `TenantError` where rules are amiss.

    With it comes what the ledger keeps of people, as it was read.
    """
    rules = await people.entitlements(parts)
    there = {key: one for key, one in (await people.offered(parts)).items() if only in (None, key)}
    spared, groups = await together(people.excluded(parts), people.groups_of_rules(parts, rules))
    known, rows, assigned = await together(
        people.everybody(parts),
        parts.ledger.persons(),
        parts.graph.assigned_to([one.service_principal_id for one in there.values()]),
    )
    everybody = []
    for one in known:
        somebody = one.principal.object_id
        if somebody in spared:
            continue
        row = rows.get(somebody)
        fact = row.timeline.at(now) if row else None
        person = people.person(one, groups, fact.attributes if fact else None)
        here, losing = (row.timeline.is_here(now), row.lost) if row else (True, {})
        everybody.append(Somebody(one.principal, person, here, losing))
    teams = [
        (key, entry)
        for key, one in there.items()
        for entry in assigned[one.service_principal_id]
        if entry.principal_kind == "group"
    ]
    ids = sorted({entry.principal_id for _, entry in teams})
    members = dict(zip(ids, await parts.graph.members_of(ids), strict=True))
    found: dict[Key, tuple[Team, ...]] = {}
    for key, entry in teams:
        inside = frozenset(member for member, _ in members[entry.principal_id])
        found[key] = (*found.get(key, ()), Team(entry.principal_name, entry.role_id, inside))
    held = people.own_by_person(assigned.values(), there)
    return Seen(rules, tuple(everybody), there, held, found), rows


async def note_lost(parts: Parts, losing: Mapping[ObjectId, Losing], rows: Rows) -> None:
    """Note since when whose access is lost; where an event has changed the row meanwhile, the next look does."""
    for somebody, lost in losing.items():
        with contextlib.suppress(Changed):
            await parts.ledger.put_person(rows.get(somebody, PersonRow(somebody)).with_lost(lost))
