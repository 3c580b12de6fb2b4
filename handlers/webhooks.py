"""Webhooks: an HR system says what it knows of people; each event becomes an operation of its own.

    POST /hr-events             proof -> CloudEvents -> rows -> messages: 202 with the operations
    POST /hr-events/bamboohr    the same, by BambooHR's own signature and words

Every row is written before the first message is sent, and is known by the delivery's id and the event's place in it: a
second delivery finds it, sends an unfinished event's message again and leaves a finished one alone. What is not taken
is counted, and a proved delivery that says nothing readable is kept with its reason.
"""

import asyncio
import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from clients.ledger import Changed, Repeat, body_hash, new_operation_id, repeat_name
from clients.tenant import Tenant
from sso.bamboohr import read_bamboohr
from sso.cloudevents import Said, read_events
from sso.errors import Reason, Refused
from sso.hr import fact_to_json
from sso.model import OperationId
from sso.operation import Operation, StepRecord
from sso.webhooks import Delivery, Sender, WebhookKey, verify_bamboohr, verify_standard

_log = logging.getLogger(__name__)

AT_ONCE = 16  # rows that are written side by side, so that a batch is answered within a second
Verify = Callable[[Delivery, Sequence[WebhookKey], datetime], str]
Read = Callable[[Delivery, datetime], list[Said]]


async def accept(tenant: Tenant, delivery: Delivery, caller: str | None, now: datetime) -> list[Operation]:
    """Take CloudEvents in, signed or from a signed-in caller; raises `Refused` (401, 415, 400, 409) with every reason.

    A signed-in caller may leave `webhook-id` out: then source and id of each event say what a repeat is.
    """
    name = delivery.headers.get("webhook-id")
    if caller is None:
        name = await _proved(tenant, delivery, "hr-events", verify_standard, now)
    said = await _read(tenant, delivery, "hr-events", read_events, now)
    return await _open(tenant, delivery, said, "hr-events", name, caller, now)


async def accept_bamboohr(tenant: Tenant, delivery: Delivery, now: datetime) -> list[Operation]:
    """Take BambooHR's own webhook in; raises `Refused` (401, 400) with every reason."""
    name = await _proved(tenant, delivery, "bamboohr", verify_bamboohr, now)
    said = await _read(tenant, delivery, "bamboohr", read_bamboohr, now)
    return await _open(tenant, delivery, said, "bamboohr", name, None, now)


async def _proved(tenant: Tenant, delivery: Delivery, sender: Sender, verify: Verify, now: datetime) -> str:
    """The name of a delivery that proves its sender; one that does not is counted."""
    keys = await tenant.vault.webhook_keys(sender)
    try:
        return verify(delivery, keys, now)
    except Refused as refused:
        _log.warning("A delivery to %s was refused: %s", sender, refused)
        await tenant.ledger.count_refused(sender, refused.reasons[0].field, now)
        raise


async def _read(tenant: Tenant, delivery: Delivery, sender: Sender, read: Read, now: datetime) -> list[Said]:
    """What a proved delivery says; one that says nothing readable is counted and kept."""
    try:
        said = read(delivery, now)
    except Refused as refused:
        await tenant.ledger.count_refused(sender, "content", now)
        await tenant.ledger.keep_unreadable("hr-events", delivery.body, f"{sender}: {refused}", 1, now)
        raise
    if broken := [one for one in said if isinstance(one, Refused)]:
        await tenant.ledger.count_refused(sender, "content", now)
        reason = f"{sender}: {' '.join(map(str, broken))}"
        await tenant.ledger.keep_unreadable("hr-events", delivery.body, reason, 1, now)
    return said


async def _open(
    tenant: Tenant,
    delivery: Delivery,
    said: Sequence[Said],
    sender: Sender,
    name: str | None,
    caller: str | None,
    now: datetime,
) -> list[Operation]:
    """Write every event's row, then send the messages of those that are not finished."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def write(place: int, one: Said) -> Operation:
        operation, content = _operation(one, caller, now)
        if name is not None:
            known = repeat_name("hr-event", sender, name, str(place))
        elif isinstance(one, Refused):
            known = repeat_name("hr-event", sender, hashlib.sha256(delivery.body).hexdigest(), str(place))
        else:
            known = repeat_name("hr-event", sender, one.source, one.id)
        async with turns:
            return await _written(tenant, operation, Repeat(operation.id, content, now), known)

    async def send(operation: Operation) -> None:
        async with turns:
            await tenant.queues.send(operation.queue, operation.id)

    operations = await asyncio.gather(*(write(place, one) for place, one in enumerate(said)))
    await asyncio.gather(*(send(operation) for operation in operations if not operation.finished))
    return list(operations)


async def _written(tenant: Tenant, operation: Operation, claim: Repeat, name: str) -> Operation:
    """The row of an event: this one, or that of an earlier delivery, whoever died in between."""
    claimed = await tenant.ledger.claim_repeat(name, claim)
    if claimed.body_hash != claim.body_hash:
        detail = f"Operation {claimed.operation} has this id and says something else. Give another event another id."
        raise Refused(Reason("webhook-id", detail), status=409)
    if claimed.operation != operation.id:
        if found := await tenant.ledger.find_operation(claimed.operation):
            return found
        operation = replace(operation, id=OperationId(claimed.operation))
    try:
        return await tenant.ledger.add_operation(operation)
    except Changed:
        return await tenant.ledger.find_operation(operation.id) or operation


def _operation(said: Said, caller: str | None, now: datetime) -> tuple[Operation, str]:
    """An event as the operation that works it, and what tells its content from another; a broken one has failed."""
    operation = Operation(
        id=new_operation_id(now),
        kind="hr_event",
        key=None,
        request={},
        state="failed",
        created=now,
        changed=now,
        not_before=now,
        caller=caller,
    )
    if isinstance(said, Refused):
        return replace(operation, reasons=said.reasons), body_hash([reason.detail for reason in said.reasons])
    fact = said.fact
    sentence = f"Follow the HR system: {fact.kind} from {fact.effective:%Y-%m-%d %H:%M} UTC."
    step = StepRecord("follow_event", sentence, fact.subject, "planned")
    request = fact_to_json(fact)
    return replace(operation, state="accepted", request=request, requested_by=said.source, steps=(step,)), body_hash(
        [said.source, said.id, request]
    )
