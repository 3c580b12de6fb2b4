"""Assignment: who gets and who loses access, in batches of up to 20 that several hosts share.

POST .../assignments   check -> plan (?mode=plan)  or  check -> operation -> message
queue assignments      a message without a batch: write the batches, send a message for each
                       a message with one: one Graph `$batch`, then settle, or come again later

Assignments are objects of their own and their repetition is success, so a batch takes no lease: a message that comes
twice changes nothing twice. Each is sent inside the write budget that all hosts share. What is throttled or not
replicated yet is sent again later, what is refused is recorded with its reason; the last batch settles the operation.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from clients.graph.together import together
from clients.ledger import Changed, new_operation_id
from clients.tenant import Tenant
from clients.tenant.accepting import Asked, add_operation, find_repeated
from clients.tenant.access import members_of_assigned_groups, nested_groups
from sso import assigning, permissions
from sso.assignment import OVERDUE, Batch
from sso.caller import Caller
from sso.errors import NotReady, Reason, Refused
from sso.model import Key, OperationId
from sso.operation import REPLICATION_LIMIT, Operation, opened, wait

PERMISSION_PAUSE = timedelta(hours=1)  # tokens are cached for up to a day, so a grant shows late


async def preview(tenant: Tenant, key: Key, body: object, now: datetime) -> Mapping[str, Any]:
    """Check a request and say what it would do; nothing is written. Raises `Refused` with every reason."""
    plan = await _checked(tenant, key, body, now)
    return {
        "steps": [{"step": s.step, "sentence": s.sentence, "affects": s.affects} for s in plan.steps],
        "notes": list(plan.notes),
    }


async def accept(tenant: Tenant, key: Key, body: object, caller: Caller, now: datetime) -> Operation:
    """Check a request, write its operation and send its message; raises `Refused` with every reason.

    A repeat, by the header or by an unfinished operation of the same ticket, answers with that operation.
    """
    ticket = body.get("ticket") if isinstance(body, dict) else None
    asked = Asked.of("assignment", caller, body, ticket if isinstance(ticket, str) else None, str(key))
    if repeated := await find_repeated(tenant, asked, now):
        return repeated
    plan = await _checked(tenant, key, body, now)
    operation = opened(
        new_operation_id(now), "assignment", key, assigning.to_json(plan.request), now, caller=caller.name
    )
    request = plan.request
    operation = replace(operation, ticket=request.ticket, requested_by=request.requested_by, steps=plan.steps)
    return await add_operation(tenant, operation, asked, now)


async def _checked(tenant: Tenant, key: Key, body: object, now: datetime) -> assigning.AccessPlan:
    profile = tenant.profile(key.vendor)
    draft, reasons = assigning.parse(body)
    if reasons:
        raise Refused(*reasons)
    (_, _, hits), observed = await together(
        tenant.graph.principals([], [], [*draft.add, *draft.remove]), tenant.observe(key, profile, now)
    )
    found = [hits[text][0] for text in draft.add if len(hits[text]) == 1]
    groups = [principal.object_id for principal in found if principal.kind == "group"]
    held = await tenant.graph.assignments_held([(p.kind, p.object_id, None) for p in found])
    facts = assigning.Facts(
        observed=observed,
        hits=hits,
        held={principal.object_id: len(holds) for principal, holds in zip(found, held, strict=True)},
        nested=await nested_groups(tenant, groups),
        members=await members_of_assigned_groups(tenant, observed) if draft.remove else {},
    )
    return assigning.plan(key, profile, draft, facts)


async def start(tenant: Tenant, operation_id: OperationId, now: datetime) -> None:
    """Cut an operation into batches and send their messages; where that was done, send again what was lost."""
    operation = await tenant.ledger.find_operation(operation_id)
    if operation is None or operation.finished or operation.kind != "assignment":
        return
    roles = (await tenant.graph.identity()).roles
    if not permissions.has(permissions.ASSIGNMENTS, roles):
        reasons = (Reason("tenant", permissions.where_to_grant([permissions.ASSIGNMENTS])),)
        waiting = wait(operation, "permission", "the operators", now, now + PERMISSION_PAUSE)
        await _write(tenant, replace(waiting, reasons=reasons))
        return
    request = assigning.from_json(operation.request)
    await tenant.open_batches(operation.id, request.changes, now)
    # What was cut already is sent again only where its own message must be lost.
    overdue = OVERDUE * tenant.settings.wait_scale if operation.state == "running" else timedelta(0)
    last = await tenant.send_batches(operation.id, now, overdue=overdue)
    cut = replace(request, changes=())  # they stand in the batches now
    running = replace(operation, state="running", waiting_for=None, reasons=(), handed_off=True, not_before=last)
    written = await _write(tenant, replace(running, request=assigning.to_json(cut), changed=now))
    if written and not await tenant.ledger.has_open_batches(operation.id):
        await tenant.settle(operation.id, now)


async def _write(tenant: Tenant, operation: Operation) -> bool:
    """Write an operation unless it has changed meanwhile: then the sweep or its batches carry it on."""
    try:
        await tenant.ledger.replace_operation(operation)
    except Changed:
        return False
    return True


async def run(tenant: Tenant, operation_id: OperationId, number: int, now: datetime) -> None:
    """Carry out what is open in one batch; an unknown or finished batch is none."""
    batch, scale = await tenant.ledger.find_batch(operation_id, number), tenant.settings.wait_scale
    if batch is None or batch.is_early(now, scale):
        return
    if batch.open:
        try:
            await tenant.reserve(batch.writes, now, urgent=batch.urgent, in_line=batch.in_line)
        except NotReady as error:
            batch, delay = replace(batch, in_line=True), error.retry_after
        else:
            batch, delay = batch.took(await tenant.carry_out(batch), now, REPLICATION_LIMIT * scale)
        try:
            await _come_again(tenant, operation_id, batch, delay * scale, now)
        except Changed:
            # Another delivery of the same message recorded the same changes; what it left open comes again.
            return
    if not batch.open and not await tenant.ledger.has_open_batches(operation_id):
        await tenant.settle(operation_id, now)


async def _come_again(tenant: Tenant, operation_id: OperationId, batch: Batch, delay: float, now: datetime) -> None:
    """Record a batch and, where anything is left open, send its message again after a while."""
    pause = max(delay, tenant.settings.wait_scale)
    await tenant.ledger.put_batch(operation_id, replace(batch, not_before=now + timedelta(seconds=pause)))
    if batch.open:
        await tenant.queues.send("assignments", operation_id, batch=batch.number, delay=pause)
