"""Operations: found, listed, replayed, swept up, and failed when their message could not be read."""

import contextlib
import json
import logging
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from clients.ledger import Changed
from clients.tenant import Tenant
from clients.tenant.failing import tell_failed
from clients.tenant.parts import RACES
from sso.errors import NotReady, Reason, Refused
from sso.model import OperationId
from sso.operation import Operation, State, fail, replayed
from vendors.slug import parse_slug

_log = logging.getLogger(__name__)

SWEEP_AGE = timedelta(minutes=2)  # how long an operation's time must have passed before the sweep takes it up
TELL_WITHIN = timedelta(days=1)  # the mail of a failure: by then the nightly summary has named it


async def find(tenant: Tenant, operation_id: str) -> Operation:
    """One operation; raises `Refused` (404)."""
    operation = await tenant.ledger.find_operation(OperationId(operation_id))
    if operation is None:
        raise Refused(Reason("operation", f"There is no operation '{operation_id[:40]}'."), status=404)
    return operation


async def page(
    tenant: Tenant, *, state: str | None, vendor: str | None, after: str | None
) -> tuple[list[Operation], str | None]:
    """A page of operations, newest first, and where the next one begins."""
    states: dict[str, State] = {s: s for s in ("accepted", "running", "waiting", "done", "failed")}
    reasons = []
    if state is not None and state not in states:
        reasons.append(Reason("state", f"'state' must be one of {', '.join(states)}."))
    if vendor is not None:
        try:
            parse_slug(vendor)
        except ValueError as error:
            reasons.append(Reason("vendor", str(error)))
    if reasons:
        raise Refused(*reasons)
    return await tenant.ledger.operations(state=states[state] if state else None, vendor=vendor, after=after)


async def replay(tenant: Tenant, operation_id: str, now: datetime) -> Operation:
    """Run a failed or waiting operation again, from what is there now; raises `Refused` (409) for any other."""
    operation = await _accepted_again(tenant, operation_id, now)
    await _reopen_batches(tenant, operation.id, now)
    await tenant.queues.send(operation.queue, operation.id)
    if operation.kind != "assignment":  # whose own message sends those of its batches
        await tenant.send_batches(operation.id, now)
    return operation


async def _accepted_again(tenant: Tenant, operation_id: str, now: datetime) -> Operation:
    for _ in range(RACES):
        operation = await find(tenant, operation_id)
        if operation.state not in {"failed", "waiting"}:
            detail = f"Operation {operation.id} is {operation.state}; only a failed or waiting one can be replayed."
            raise Refused(Reason("operation", detail), status=409)
        again = replace(
            operation,
            state="accepted",
            waiting_for=None,
            reasons=(),
            handed_off=False,
            not_before=now,
            changed=now,
            steps=replayed(operation),
        )
        with contextlib.suppress(Changed):  # a run that ends writes at the same moment; what it wrote is looked at
            return await tenant.ledger.replace_operation(again)
    raise Refused(Reason("operation", "The operation changes all the time; try again."), status=409)


async def release(tenant: Tenant, operation_id: str) -> Operation:
    """Let an operation go on that a brake has stopped, and all that the same brake holds with it.

    Raises `Refused` (409) for one that waits for no release. Done twice it sends the message again.
    """
    operation = await find(tenant, operation_id)
    if operation.waiting_for is None or operation.waiting_for.what != "release":
        detail = f"Operation {operation.id} waits for no release; only what the brake has stopped can be released."
        raise Refused(Reason("operation", detail), status=409)
    for released in (operation.id, *await tenant.release(operation.id)):
        held = operation if released == operation.id else await tenant.ledger.find_operation(released)
        if held and not held.finished:
            await tenant.queues.send(held.queue, held.id)
    return operation


async def _reopen_batches(tenant: Tenant, operation_id: OperationId, now: datetime) -> None:
    """Let what was refused be tried once more: the plan leaves to the batches what stands in them."""
    for batch in await tenant.ledger.batches(operation_id):
        if any(change.state == "refused" for change in batch.changes):
            with contextlib.suppress(Changed):  # its own message is at it
                await tenant.ledger.put_batch(operation_id, batch.reopened(now))


async def sweep(tenant: Tenant, now: datetime) -> int:
    """Send the message of every unfinished operation whose time passed two minutes ago; returns how many.

    This is what makes "operation written, message lost" harmless, whoever died in between; the same for the mail of one
    that failed.
    """
    sent, before = 0, now - SWEEP_AGE * tenant.settings.wait_scale
    failed = []
    async for operation in tenant.ledger.left_over(before, now - TELL_WITHIN):
        if operation.finished:
            failed.append(operation)
            continue
        try:
            await tenant.queues.send(operation.queue, operation.id)
        except NotReady as error:
            _log.warning("The sweep could not send operation %s: %s", operation.id, error)
        else:
            sent += 1
    for operation in failed:
        await tell_failed(tenant, operation)
    return sent


def read_message(message: bytes) -> OperationId:
    """Read which operation a message names; raises `ValueError` that says what else it is."""
    operation = _object(message).get("operation")
    if not isinstance(operation, str) or not operation:
        msg = "the message names no operation"
        raise ValueError(msg)
    return OperationId(operation)


def read_batch_message(message: bytes) -> tuple[OperationId, int | None]:
    """Read which operation a message names, and which batch of it, if any; raises `ValueError`."""
    body = _object(message)
    batch = body.get("batch")
    if "batch" in body and not isinstance(batch, int):
        msg = "the message names a batch that is no number"
        raise ValueError(msg)  # it is the message that is wrong, not a caller's type
    return read_message(message), batch


def _object(message: bytes) -> dict[str, Any]:
    try:
        body = json.loads(message)
    except ValueError:
        msg = "the message is not JSON"
        raise ValueError(msg) from None
    return body if isinstance(body, dict) else {}


async def give_up(tenant: Tenant, queue: str, message: bytes, reason: str, dequeue_count: int, now: datetime) -> None:
    """Keep a message that could not be carried out, fail its operation if it names one, and tell the owner."""
    await tenant.ledger.keep_unreadable(queue, message, reason, dequeue_count, now)
    try:
        operation_id = read_message(message)
    except ValueError:
        return
    operation = await tenant.ledger.find_operation(operation_id)
    if operation is None or operation.finished:
        return
    detail = f"A message on '{queue}' failed {dequeue_count} times and was put aside: {reason}. Replay the operation."
    reasons = (Reason("operation", detail),)
    try:
        failed = await tenant.ledger.replace_operation(fail(operation, reasons, now, tells=True))
    except Changed:
        return  # a run was faster: the operation moves after all
    await tell_failed(tenant, failed)
