"""Intake: a request is checked, planned and accepted as an operation; a queue message then carries it out.

POST /onboardings           check -> plan (?mode=plan)  or  check -> operation -> message
POST .../handoffs           the same, for an application that is there: a new hand-off
PUT .../parameters          what the vendor supplied; the waiting operation goes on
"""

from dataclasses import replace
from datetime import datetime

from clients.graph.together import together
from clients.ledger import Changed, new_operation_id
from clients.tenant import Tenant
from clients.tenant.accepting import Asked, add_operation, find_repeated
from sso import check as checks
from sso import request as requests
from sso.caller import Caller
from sso.errors import Reason, Refused
from sso.model import Key
from sso.observed import Observed
from sso.onboarding import plan
from sso.operation import Operation, accepted
from sso.request import Draft, Onboarding
from sso.steps import Plan
from vendors.profile import Profile


async def preview(tenant: Tenant, body: object, now: datetime) -> Plan:
    """Check a request and return its plan; nothing is written. Raises `Refused` with every reason."""
    profile, request, observed = await _checked(tenant, body, now)
    return plan(profile, request, observed, tenant.deployment, now)


async def accept(tenant: Tenant, body: object, caller: Caller, now: datetime) -> Operation:
    """Check a request, write its operation and send its message; raises `Refused` with every reason.

    A repeat, by the header or by an unfinished operation of the same ticket, answers with that operation.
    """
    asked = _asked(caller, body)
    if repeated := await find_repeated(tenant, asked, now):
        return repeated
    profile, request, observed = await _checked(tenant, body, now)
    first = plan(profile, request, observed, tenant.deployment, now)
    return await _open(tenant, request, first, caller, asked, now)


async def hand_off_again(tenant: Tenant, key: Key, caller: Caller, now: datetime) -> Operation:
    """Issue a new hand-off of an application that is there; a secret that was collected in vain is replaced first."""
    asked = Asked.of("onboarding", caller, {"handoff": str(key)})
    if repeated := await find_repeated(tenant, asked, now):
        return repeated
    profile = tenant.profile(key.vendor)
    observed = await tenant.observe(key, profile, now)
    request = replace(requests.standing(key, observed.application), hand_off_again=True)
    first = plan(profile, request, observed, tenant.deployment, now)
    return await _open(tenant, request, first, caller, asked, now)


async def supply(tenant: Tenant, key: Key, body: object, caller: Caller, now: datetime) -> Operation:
    """Take the parameters that the vendor supplied, and go on with the operation that waits for them."""
    profile = tenant.profile(key.vendor)
    supplied, reasons = requests.parse_supplied(body, profile)
    if reasons:
        raise Refused(*reasons)
    for operation in await tenant.ledger.unfinished_of(key):
        if operation.kind == "onboarding":
            request = requests.from_json(operation.request)
            request = replace(request, parameters={**request.parameters, **supplied})
            if reasons := checks.check_addresses(profile, request.parameters):
                raise Refused(*reasons)
            found = await tenant.ledger.find_operation(operation.id)
            if found is None:
                continue
            going_on = replace(found, state="accepted", waiting_for=None, handed_off=False, not_before=now, changed=now)
            try:
                written = await tenant.ledger.replace_operation(replace(going_on, request=requests.to_json(request)))
            except Changed:
                detail = "The operation that waits for this has just changed; send the parameters again."
                raise Refused(Reason("operation", detail), status=409) from None
            await tenant.queues.send(operation.queue, operation.id)
            return written
    observed = await tenant.observe(key, profile, now)
    standing = requests.standing(key, observed.application)
    request = replace(standing, parameters={**standing.parameters, **supplied})
    if reasons := checks.check_addresses(profile, request.parameters):
        raise Refused(*reasons)
    first = plan(profile, request, observed, tenant.deployment, now)
    return await _open(tenant, request, first, caller, Asked.of("onboarding", caller, body), now)


async def _checked(tenant: Tenant, body: object, now: datetime) -> tuple[Profile, Onboarding, Observed]:
    """Parse and compare with the directory; both lists of reasons together."""
    draft, reasons = requests.parse(body, tenant.catalog)
    facts = await _directory_facts(tenant, draft, now)
    settings = tenant.settings
    blamed = {reason.field for reason in reasons}  # what is malformed is not called missing as well
    found = checks.check(draft, facts, settings.consent_scopes, settings.cloud)
    reasons += tuple(reason for reason in found if reason.field not in blamed)
    if draft.profile and facts.observed:
        reasons += checks.check_sealing(draft.profile, facts.observed, now)
    if reasons or draft.profile is None or facts.observed is None:
        raise Refused(*reasons)
    return draft.profile, checks.accept(draft, facts), facts.observed


async def _directory_facts(tenant: Tenant, draft: Draft, now: datetime) -> checks.DirectoryFacts:
    """Look up whatever the draft names."""
    owners = [draft.owner] if draft.owner else []
    (users, groups, either), observed = await together(
        tenant.graph.principals(draft.users, draft.groups, owners), _observed(tenant, draft, now)
    )
    found = either[draft.owner] if draft.owner else ()
    allowed = True
    if len(found) == 1 and tenant.settings.owners_group:
        allowed = await tenant.graph.is_member(tenant.settings.owners_group, found[0].object_id)
    return checks.DirectoryFacts(observed, found, users, groups, allowed)


async def _observed(tenant: Tenant, draft: Draft, now: datetime) -> Observed | None:
    """What is there of the draft's key; nothing is looked up of one that cannot be read whole."""
    if draft.key and draft.profile:
        return await tenant.observe(draft.key, draft.profile, now)
    return Observed(draft.key) if draft.key else None


def _asked(caller: Caller, body: object) -> Asked:
    """By which names a repeat of this onboarding is known: its ticket counts for its vendor and instance."""
    given = body if isinstance(body, dict) else {}
    ticket = given.get("ticket") if isinstance(given.get("ticket"), str) else None
    return Asked.of("onboarding", caller, body, ticket, f"{given.get('vendor')}/{given.get('instance', 'default')}")


async def _open(
    tenant: Tenant, request: Onboarding, first: Plan, caller: Caller, asked: Asked, now: datetime
) -> Operation:
    operation = accepted(new_operation_id(now), "onboarding", request, first.steps, now, caller=caller.name)
    return await add_operation(tenant, operation, asked, now)
