"""Entitlements shown before they act: what an event or a changed file would do, for one person or everyone.

    POST /entitlements/preview    {"entitlements": TOML}?  {"event": CloudEvent}?  {"person": name}?

Nothing is written. Without `entitlements` the deployed file is meant, without `event` a reconcile, without `person` or
event everybody.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from clients.entitlements import catalogued
from clients.ledger import PersonRow
from clients.tenant import Tenant, people
from clients.tenant.people import Known
from sso.decision import Cause, Decision, Held, Offered, decide
from sso.entitlement_lint import lint
from sso.entitlements import Entitlements, EntitlementsError, Person, entitled, parse_entitlements
from sso.errors import Reason, Refused
from sso.hr import Fact, parse_event
from sso.model import Key, ObjectId

FIELDS = frozenset({"entitlements", "event", "person"})
SHOWN = 500  # people in one answer


@dataclass(frozen=True)
class Asked:
    """What a preview is about."""

    rules: Entitlements
    fact: Fact | None
    person: str | None


async def preview(tenant: Tenant, body: object, now: datetime) -> dict[str, Any]:
    """What would change; raises `Refused` with every reason, `TenantError` where the deployed file is broken."""
    asked = await _asked(tenant, body, now)
    there = await people.offered(tenant)
    groups = await people.groups_of_rules(tenant, asked.rules)
    spared = await people.excluded(tenant)
    if asked.person:
        known = [await _named(tenant, asked.person)]
        held: Mapping[ObjectId, tuple[Held, ...]] = {
            one.principal.object_id: await people.held_by(tenant, one.principal.object_id, there) for one in known
        }
    else:
        known, held = await people.everybody(tenant), await people.held_by_all(tenant, there)
    rows = await tenant.ledger.persons()
    facts = [asked.fact or _fact(rows.get(one.principal.object_id), now) for one in known]
    persons = [
        people.person(one, groups, fact.attributes if fact else None) for one, fact in zip(known, facts, strict=True)
    ]
    items = []
    for one, fact, person in zip(known, facts, persons, strict=True):
        gone = fact is not None and fact.kind == "leaver"
        cause: Cause = asked.fact.kind if asked.fact else "leaver" if gone else "reconcile"
        wanted = () if cause == "leaver" else entitled(person, asked.rules)
        since = asked.fact.effective if asked.fact else now
        mine = held.get(one.principal.object_id, ())
        decision = decide(cause, wanted, mine, there, asked.rules, since=since, now=max(now, since))
        notes = [*decision.notes, *(await _through(tenant, one, there) if cause == "leaver" else ())]
        if one.principal.object_id in spared:
            decision, notes = Decision(), ["Is in GATEHOUSE_EXCLUDED_GROUP: nothing is changed."]
        items.append(_item(one, [entry.sentence for entry in wanted], decision, notes))
    if not asked.person:
        items = [item for item in items if _changes(item) or item["told"]]
    return {
        "findings": _findings(tenant, asked.rules, there, None if asked.person else persons),
        "people": len(known),
        "changing": sum(map(_changes, items)),
        "items": items[:SHOWN],
        "left_out": max(0, len(items) - SHOWN),
    }


def _fact(row: PersonRow | None, now: datetime) -> Fact | None:
    """The fact about somebody that is in force."""
    return row.timeline.at(now) if row else None


async def _asked(tenant: Tenant, body: object, now: datetime) -> Asked:
    """Read the body; raises `Refused` with every reason."""
    if not isinstance(body, dict) or set(body) - FIELDS:
        raise Refused(Reason("", "The body must be an object with entitlements, event and person, each optional."))
    reasons: list[Reason] = []
    rules = None
    if body.get("entitlements") is not None:
        try:
            rules = parse_entitlements(_text(body["entitlements"], "entitlements").encode())
        except EntitlementsError as error:
            reasons += error.reasons
        except Refused as error:
            reasons += error.reasons
    fact, person = None, None
    try:
        if body.get("event") is not None:
            fact = parse_event(body["event"], now, "event.").fact
        if body.get("person") is not None:
            person = _text(body["person"], "person")
    except Refused as error:
        reasons += error.reasons
    if fact and person:
        reasons.append(Reason("person", "The event names its person in 'subject'; leave 'person' out."))
    if reasons:
        raise Refused(*reasons)
    return Asked(rules or await people.entitlements(tenant), fact, fact.subject if fact else person)


def _text(value: object, where: str) -> str:
    if isinstance(value, str) and value.strip():
        return value
    raise Refused(Reason(where, f"'{where}' must be a text."))


async def _named(tenant: Tenant, name: str) -> Known:
    found = await people.find_person(tenant, name)
    if found is None:
        raise Refused(Reason("person", "The directory knows nobody of this name. Write a principal name or object ID."))
    return found


async def _through(tenant: Tenant, one: Known, there: Mapping[Key, Offered]) -> list[str]:
    found = await people.through_groups(tenant, one.principal.object_id, there)
    return [
        f"Has {there[access.key].label(access.role_id)} through group '{access.group}': it ends with the membership or"
        " the account."
        for access in found
    ]


def _item(one: Known, wanted: Sequence[str], decision: Decision, notes: Sequence[str]) -> dict[str, Any]:
    return {
        "object_id": one.principal.object_id,
        "name": one.principal.name,
        "entitled": list(wanted),
        "grants": [change.sentence for change in decision.grants],
        "removals": [change.sentence for change in decision.removals],
        "later": [
            {"sentence": change.sentence, "until": change.until.isoformat()}
            for change in decision.later
            if change.until
        ],
        "told": list(decision.told),
        "notes": list(notes),
    }


def _changes(item: Mapping[str, Any]) -> bool:
    return bool(item["grants"] or item["removals"] or item["later"])


def _findings(
    tenant: Tenant, rules: Entitlements, there: Mapping[Key, Offered], persons: Sequence[Person] | None
) -> list[dict[str, Any]]:
    roles = {key: [role.value or role.display_name for role in one.roles] for key, one in there.items()}
    found = lint(rules, catalogued(tenant.catalog), roles=roles, people=persons)
    return [{"kind": one.kind, "rule": one.rule, "path": one.path, "sentence": one.sentence} for one in found]
