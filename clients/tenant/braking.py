"""The brake in use: what removes something asks here first, and is stopped where a day has removed too much."""

import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import datetime

from clients.ledger import Changed
from clients.tenant.parts import RACES, READ_PAUSE, Parts
from sso.brake import Kind
from sso.errors import NotReady
from sso.letters import compose_braked
from sso.model import OperationId

THINGS: Mapping[Kind, str] = {"retirement": "credentials", "leaver": "people", "removal": "assignments"}
LOOK_AGAIN = 3600.0  # seconds; a release sends every message that was stopped, so this is for one that was lost


async def pass_brake(
    parts: Parts,
    kind: Kind,
    names: frozenset[str],
    operation: OperationId,
    now: datetime,
    total: Callable[[], Awaitable[int]],
) -> None:
    """Count removals, all or none; raises `NotReady` (`release`) where they are too many, and tells the operators once.

    `names` are what is removed: a run that died after this counts each once. `total` says how much there is in all.
    """
    limit = parts.brake_limit
    for _ in range(RACES):
        found = await parts.ledger.brake(kind)
        count = found.count(now)
        # Counting everything reads it all: not below the floor, and not for each of those who leave together.
        if not found.passes(operation, names, limit, 0, now) and found.needs_count(now):
            found = replace(found, of=await total(), counted=now)
        of = found.of
        try:
            if found.passes(operation, names, limit, of, now):
                await parts.ledger.put_brake(kind, found.take(names, now))
                return
            held = found.hold(operation)
            if held != found:
                held = await parts.ledger.put_brake(kind, held)
        except Changed:
            continue
        if held.tells(operation):
            await parts.mail(
                compose_braked(kind, count, of, limit, organisation=parts.organisation, operation=operation)
            )
            await _note_told(parts, kind, operation, now)
        detail = (
            f"Of {of} {THINGS[kind]} {count} were removed within a day, and with {len(names)} more it would be too many"
            " without a look. Look at the operations that wait for their release, then"
            f" POST /operations/{operation}/release."
        )
        raise NotReady(detail, retry_after=LOOK_AGAIN, waiting_for="release")
    msg = f"The brake of {kind} changes faster than it can be written."
    raise NotReady(msg, retry_after=READ_PAUSE)


async def _note_told(parts: Parts, kind: Kind, operation: OperationId, now: datetime) -> None:
    """Note that the operators know: cut before it, the same operation tells them once more."""
    for _ in range(RACES):
        found = await parts.ledger.brake(kind)
        if not found.tells(operation):
            return
        with contextlib.suppress(Changed):
            await parts.ledger.put_brake(kind, replace(found, told=now))


async def release_brake(parts: Parts, kind: Kind, operation: OperationId) -> tuple[OperationId, ...]:
    """Let everything go on that a brake holds, if this operation is among it; returns what was held."""
    for _ in range(RACES):
        found = await parts.ledger.brake(kind)
        if operation not in found.held:
            return ()
        try:
            await parts.ledger.put_brake(kind, found.release())
        except Changed:
            continue
        return found.held
    msg = f"The brake of {kind} changes faster than it can be written."
    raise NotReady(msg, retry_after=READ_PAUSE)
