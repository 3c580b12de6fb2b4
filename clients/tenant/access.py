"""Access that is given and taken: changes become batches, each message carries out one of them.

Whoever wants access changed opens batches for an operation (`open_batches`), sends their messages (`send_batches`), and
sets the operation's `handed_off`; the queue `assignments` does the rest, and the last batch to be through settles the
operation.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from clients.ledger import Changed
from clients.tenant.parts import Parts
from sso.assignment import BATCH_SIZE, Batch, Change, NothingFound, Outcome, batches
from sso.errors import GatehouseError, NotReady
from sso.model import AppRoleAssignment, ObjectId, OperationId
from sso.observed import Observed


async def open_batches(
    parts: Parts, operation: OperationId, changes: Iterable[Change], now: datetime, *, urgent: bool = False
) -> None:
    """Write the batches of an operation that carry out these changes, up to 20 in each; call `send_batches` next.

    The changes may concern several people and applications (`sso.assignment.grant` and `revoke` make them). Repeated
    with the same changes it writes nothing, so a run that died in between is simply continued; others are added behind
    those that are there. `urgent` puts them ahead in the write budget.
    """
    there = await parts.ledger.batches(operation)
    known = {change.place for batch in there for change in batch.changes}
    missing = [change for change in dict.fromkeys(changes) if change.place not in known]
    for batch in batches(missing, now, first=len(there) + 1, urgent=urgent):
        try:
            await parts.ledger.put_batch(operation, batch)
        except Changed:
            continue  # a second run wrote it first


async def send_batches(
    parts: Parts, operation: OperationId, now: datetime, *, overdue: timedelta = timedelta(0)
) -> datetime:
    """Send the message of every open batch that should have come this long ago; returns when the last one is due."""
    last = now
    for batch in await parts.ledger.batches(operation):
        if batch.is_overdue(now, overdue):
            await parts.queues.send("assignments", operation, batch=batch.number)
        elif batch.open:
            last = max(last, batch.not_before)
    return last


async def carry_out(parts: Parts, batch: Batch) -> list[Outcome]:
    """One attempt at what is open in a batch; per change what it came to, in order.

    Removals first look, from the principal's side, for what there is to take; all writes then go by one `$batch`.
    """
    try:
        return await _carry_out(parts, batch.open)
    except NotReady as error:
        return [error] * len(batch.open)
    except GatehouseError as error:
        return [error.reasons[0]] * len(batch.open)


async def _carry_out(parts: Parts, changes: tuple[Change, ...]) -> list[Outcome]:
    losing = [change for change in changes if change.direction == "revoke"]
    held = await parts.graph.assignments_held([(c.kind, c.principal_id, c.service_principal_id) for c in losing])
    found = dict(zip(losing, held, strict=True))
    writes: list[tuple[Change, AppRoleAssignment | None]] = []
    outcomes: dict[Change, Outcome] = {}
    for change in changes:
        taken = [a for a in found.get(change, ()) if change.role_id in (None, a.role_id)]
        wanted: list[AppRoleAssignment | None] = [None] if change.direction == "grant" else [*taken]
        room = BATCH_SIZE - len(writes)
        if not wanted:
            outcomes[change] = NothingFound()
        elif len(wanted) > room:
            outcomes[change] = NotReady("The rest goes by the next batch.", retry_after=0, waiting_for="time")
        writes += [(change, each) for each in wanted[:room]]
    answers = await parts.graph.change_assignments(writes)
    for (change, _), answer in zip(writes, answers, strict=True):
        if isinstance(answer, NotReady) or answer is None:
            outcomes[change] = outcomes.get(change) or answer
        else:
            outcomes[change] = answer.reasons[0]
    return [outcomes[change] for change in changes]


async def members_of_assigned_groups(parts: Parts, observed: Observed) -> dict[ObjectId, frozenset[ObjectId]]:
    """The direct members of every group that has access to an application, by group."""
    groups = [a.principal_id for a in observed.assignments if a.principal_kind == "group"]
    found = await parts.graph.members_of(groups)
    return {group: frozenset(i for i, _ in members) for group, members in zip(groups, found, strict=True)}


async def nested_groups(parts: Parts, groups: Sequence[ObjectId]) -> dict[ObjectId, tuple[str, ...]]:
    """The names of the groups inside each of these groups: their members get nothing."""
    found = await parts.graph.members_of(groups)
    return {group: tuple(name for _, name in members if name) for group, members in zip(groups, found, strict=True)}
