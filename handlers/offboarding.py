"""Offboarding: an application is taken out of use at once, and deleted when nobody has asked for it again meanwhile.

DELETE .../applications/{vendor}/{instance}   plan (?mode=plan)  or  operation -> message

The operation is carried out as an onboarding is; between telling and deleting it waits for its time.
"""

from datetime import datetime

from clients.ledger import new_operation_id
from clients.tenant import Tenant
from clients.tenant.accepting import Asked, add_operation, find_repeated
from sso import offboarding
from sso.caller import Caller
from sso.errors import Reason, Refused
from sso.model import Key
from sso.observed import Observed
from sso.operation import Operation, accepted
from sso.request import Onboarding, recorded
from sso.steps import Plan


async def preview(tenant: Tenant, key: Key, now: datetime) -> Plan:
    """What an offboarding would do; nothing is written. Raises `Refused` (404)."""
    profile = tenant.profile(key.vendor)
    observed = await tenant.observe(key, profile, now)
    _request(key, observed)
    return offboarding.plan(profile, observed, now, tenant.deployment.offboard_days, now)


async def accept(tenant: Tenant, key: Key, caller: Caller, now: datetime) -> Operation:
    """Write an operation that takes the application out of use, and send its message; raises `Refused` (404).

    While one is under way and was not undone, a repeat answers with it.
    """
    asked = Asked.of("offboarding", caller, {"offboard": str(key)})
    if repeated := await find_repeated(tenant, asked, now):
        return repeated
    profile = tenant.profile(key.vendor)
    observed = await tenant.observe(key, profile, now)
    request = _request(key, observed)
    for operation in await tenant.ledger.unfinished_of(key):
        if operation.kind == "offboarding":
            await tenant.queues.send(operation.queue, operation.id)  # one that was undone ends by it
            if observed.offboarded or operation.state == "accepted":
                return operation
    plan = offboarding.plan(profile, observed, now, tenant.deployment.offboard_days, now)
    operation = accepted(new_operation_id(now), "offboarding", request, plan.steps, now, caller=caller.name)
    return await add_operation(tenant, operation, asked, now)


def _request(key: Key, observed: Observed) -> Onboarding:
    """What is taken out of use, as its tags say; raises `Refused` (404)."""
    if observed.application is None and observed.deleted:
        detail = f"'{key}' is deleted already. Within 30 days its onboarding request restores it."
        raise Refused(Reason("instance", detail), status=404)
    request = recorded(key, observed.application)
    if request is None:
        raise Refused(Reason("instance", f"There is no onboarded application '{key}'."), status=404)
    return request
