"""Settling: an operation whose own run is through moves with its batches, an onboarding with its acknowledgement."""

from datetime import datetime, timedelta

from clients.graph.together import together
from clients.ledger import Changed
from clients.tenant.parts import RACES, READ_PAUSE, Parts
from sso.errors import NotReady
from sso.model import OperationId
from sso.operation import DECIDE_THEMSELVES, Operation
from sso.operation import settle as decide
from sso.page import next_reminder


async def settle(parts: Parts, operation_id: OperationId, now: datetime, written: Operation | None = None) -> None:
    """Move an operation to where it stands; an onboarding that ends ends every other that waits for the same.

    Whoever has just written it hands it in, and it is read again only where somebody else was at it.
    """
    settled = await _settle(parts, operation_id, now, written)
    if settled and settled.key and settled.kind == "onboarding" and settled.state == "done":
        for other in await parts.ledger.unfinished_of(settled.key):
            if other.handed_off:
                await _settle(parts, other.id, now)


async def _settle(
    parts: Parts, operation_id: OperationId, now: datetime, written: Operation | None = None
) -> Operation | None:
    for _ in range(RACES):
        operation = written or await parts.ledger.find_operation(operation_id)
        written = None
        if operation is None or operation.finished:
            return operation
        if operation.kind in DECIDE_THEMSELVES:
            await parts.queues.send(operation.queue, operation.id)
            return operation
        settled = await _decided(parts, operation, now)
        if settled == operation:
            return operation
        try:
            return await parts.ledger.replace_operation(settled)
        except Changed:
            continue
    msg = f"The operation {operation_id} changes faster than it can be written."
    raise NotReady(msg, retry_after=READ_PAUSE)


async def _decided(parts: Parts, operation: Operation, now: datetime) -> Operation:
    if operation.key is None or operation.kind == "assignment":
        batches = await parts.ledger.batches(operation.id)
        return decide(operation, batches, acknowledged=False, whom="nobody", until=now, now=now)
    batches, pages = await together(parts.ledger.batches(operation.id), parts.ledger.pages(operation.key))
    page = next((page for page in pages if page.state != "replaced"), None)
    said = None
    if page and page.credential:
        said = await parts.ledger.acknowledgement(operation.key, page.credential)
    profile = parts.catalog.load(operation.key.vendor)
    reminder = next_reminder(page, profile) if page else now
    return decide(
        operation,
        batches,
        acknowledged=said is not None,
        whom=profile.handoff.contact or "the owner",
        # Where nobody is to be reminded, because the page is locked or another operation's, once a day.
        until=reminder if reminder > now else now + timedelta(days=1),
        now=now,
    )
