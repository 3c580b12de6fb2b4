"""Accepting: an operation is written, then its message is sent; a repeat of its request answers with it.

What timers and events find is opened once for its cause, however many find it at the same moment.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from clients.ledger import Changed, Repeat, body_hash, repeat_name
from clients.tenant.parts import Parts
from sso.caller import Caller
from sso.errors import Reason, Refused
from sso.operation import IDEMPOTENCY, Kind, Operation


@dataclass(frozen=True)
class Asked:
    """A request as it came: by which names a repeat is known, and what tells another body apart."""

    body: object
    names: tuple[tuple[str, str], ...]  # the name of its row, and what people call it

    @classmethod
    def of(cls, kind: Kind, caller: Caller, body: object, ticket: str | None = None, key: str = "") -> "Asked":
        """Known by the caller's header, and by kind, ticket and key."""
        header = repeat_name("header", caller.idempotency_key) if caller.idempotency_key else None
        noted = repeat_name(kind, ticket, key) if ticket else None
        names = ((header, "Idempotency-Key"), (noted, "ticket"))
        return cls(body, tuple((name, what) for name, what in names if name))


async def find_repeated(parts: Parts, asked: Asked, now: datetime) -> Operation | None:
    """The operation that a request repeats; raises `Refused` (409) where the body is another one."""
    for name, what in asked.names:
        found = await parts.ledger.find_repeat(name)
        operation = await parts.ledger.find_operation(found.operation) if found else None
        if found is None or operation is None:
            continue
        expired = now - found.at > IDEMPOTENCY if what == "Idempotency-Key" else operation.finished
        if expired:
            continue
        if found.body_hash != body_hash(asked.body):
            detail = f"Operation {operation.id} has this {what} and another body. Use another {what}, or the same body."
            raise Refused(Reason(what, detail), status=409)
        if not operation.finished:
            await parts.queues.send(operation.queue, operation.id)
        return operation
    return None


async def add_operation(parts: Parts, operation: Operation, asked: Asked, now: datetime) -> Operation:
    """Write the operation, then send its message; between the two the sweep takes it up."""
    operation = await parts.ledger.add_operation(operation)
    for name, _ in asked.names:
        await parts.ledger.put_repeat(name, Repeat(operation.id, body_hash(asked.body), now))
    await parts.queues.send(operation.queue, operation.id)
    return operation


async def open_once(parts: Parts, opening: Operation, *cause: str) -> tuple[Operation, bool]:
    """Open an operation once for a cause: whoever has the same opens or finds the same; returns it, and whether we did.

    The message is sent by each of them; where all died before, the sweep sends it.
    """
    opening = replace(opening, id=await parts.ledger.claim(repeat_name(*cause), opening.id, opening.created))
    try:
        operation, opened = await parts.ledger.add_operation(opening), True
    except Changed:
        operation, opened = await parts.ledger.find_operation(opening.id) or opening, False
    if not operation.finished:
        await parts.queues.send(operation.queue, operation.id)
    return operation, opened
