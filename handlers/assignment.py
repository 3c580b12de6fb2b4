"""Assignment: one message is one batch, and one batch is one Graph `$batch` of up to 20 grants.

Grants are objects of their own and their repetition is success, so a batch takes no lease: a message that comes twice
grants nothing twice. What is throttled or not replicated yet is sent again later, what is refused is recorded with its
reason, and the last batch to be through settles the operation.
"""

from dataclasses import replace
from datetime import datetime

from clients.ledger import Changed
from clients.tenant import Tenant
from sso.assignment import Batch
from sso.errors import NotReady, Reason
from sso.model import OperationId

ATTEMPTS = 60  # with pauses of 5 to 60 s: well past the ten minutes that replication may take (graph-contract 4)


async def run(tenant: Tenant, operation_id: OperationId, number: int, now: datetime) -> None:
    """Grant what is open in one batch; an unknown or finished batch is none."""
    batch = next((b for b in await tenant.ledger.batches(operation_id) if b.number == number), None)
    if batch is None:
        return
    delay = 0.0
    if batch.open:
        outcomes = await _grant(tenant, batch)
        if isinstance(outcomes, NotReady):
            batch, delay = replace(batch, attempts=batch.attempts + 1), outcomes.retry_after
        else:
            batch, delay = _recorded(batch, outcomes)
        try:
            batch = await tenant.ledger.put_batch(operation_id, batch)
        except Changed:
            # Another delivery of the same message recorded the same grants; what it left open comes again.
            return
    if batch.open:
        await tenant.queues.send(
            "assignments", operation_id, batch=number, delay=max(delay, 1.0) * tenant.settings.wait_scale
        )
    else:
        await tenant.settle(operation_id, now)


Outcome = NotReady | Reason | None


async def _grant(tenant: Tenant, batch: Batch) -> list[Outcome] | NotReady:
    """Per open grant: None where it holds now, why not otherwise; or why the whole batch has no answer."""
    principals = [grant.principal_id for grant in batch.open]
    try:
        answers = await tenant.graph.assign(batch.service_principal_id, batch.role_id, principals)
    except NotReady as error:
        return error
    return [answer if isinstance(answer, NotReady) or answer is None else answer.reasons[0] for answer in answers]


def _recorded(batch: Batch, outcomes: list[Outcome]) -> tuple[Batch, float]:
    """The batch with its outcomes, and how long what is open should wait."""
    delay = 0.0
    last = batch.attempts + 1 >= ATTEMPTS
    for grant, outcome in zip(batch.open, outcomes, strict=True):
        if outcome is None:
            batch = batch.record(grant, "assigned")
        elif isinstance(outcome, Reason):
            batch = batch.record(grant, "refused", outcome.detail)
        elif last and outcome.waiting_for == "replication":
            batch = batch.record(grant, "refused", outcome.reasons[0].detail)
        else:
            delay = max(delay, outcome.retry_after)
    return replace(batch, attempts=batch.attempts + 1), delay
