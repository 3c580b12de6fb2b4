"""Carrying on an operation that decides by itself what is next: whatever stops a run becomes the operation's state."""

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from clients.ledger import Changed
from clients.tenant import Tenant, people
from clients.tenant.braking import pass_brake
from clients.tenant.failing import tell_failed
from sso import following
from sso.assignment import OVERDUE, Change
from sso.errors import NotReady, Reason, Refused, TenantError
from sso.operation import REPLICATION_LIMIT, Operation, StepRecord, What, fail, wait

LOOK_AGAIN = timedelta(hours=1)  # for what people must do, such as granting a permission


class Carrying(ABC):
    """One run of one operation."""

    def __init__(self, tenant: Tenant, operation: Operation, now: datetime) -> None:
        self.tenant = tenant
        self.operation = operation
        self.now = now

    @abstractmethod
    async def follow(self) -> None:
        """Go on to where the operation waits, is done or has failed; what is raised becomes its state."""

    async def through(self) -> None:
        """Run once; where another run is at it, the message comes again."""
        tenant, operation = self.tenant, self.operation
        # A mail cannot be found again once it is sent: two runs at once would both send it.
        async with tenant.leased(operation, self.now) as held:
            if held is None:
                return
            found = await tenant.ledger.find_operation(operation.id)
            if found is None or found.finished:
                return
            self.operation = found
            with contextlib.suppress(Changed):  # a replay was faster
                await self._through()

    async def _through(self) -> None:
        try:
            await self.follow()
        except NotReady as error:
            await self._not_ready(error)
        except TenantError as error:
            if error.missing is None:
                await self.fail(error.reasons)
            else:
                waiting = self.waiting("permission", "the operators", self.now + LOOK_AGAIN)
                await self.save(replace(waiting, reasons=error.reasons))
        except Refused as error:
            await self.fail(error.reasons)

    async def _not_ready(self, error: NotReady) -> None:
        before, scale = self.operation.waiting_for, self.tenant.settings.wait_scale
        lasts = before is not None and before.what == error.waiting_for == "replication"
        if lasts and before and self.now - before.since > REPLICATION_LIMIT * scale:
            await self.fail(error.reasons)
            return
        delay = error.retry_after * scale
        whom = "the operators" if error.waiting_for == "release" else "the tenant"
        waiting = self.waiting(error.waiting_for, whom, self.now + timedelta(seconds=delay))
        await self.save(replace(waiting, reasons=error.reasons if error.waiting_for == "release" else ()))
        await self.tenant.queues.send(self.operation.queue, self.operation.id, delay=delay)

    # Changes of access

    async def open_changes(self, changes: Sequence[Change], steps: Sequence[StepRecord], *, urgent: bool) -> None:
        """Let the queue `assignments` carry these out; `steps` say what they are."""
        again = {(step.step, step.sentence) for step in steps}
        before = self.operation.steps  # what an earlier round has planned was carried out, unless it is planned again
        kept = tuple(step for step in before if step.state == "done" or (step.step, step.sentence) not in again)
        running = replace(self.operation, state="running", waiting_for=None, reasons=(), steps=(*kept, *steps))
        await self.save(replace(running, not_before=self.now))
        await people.open_changes(self.tenant, self.operation.id, changes, self.now, urgent=urgent)

    async def brake_removals(self, changes: Sequence[Change]) -> None:
        """Count what is taken from people; raises `NotReady` (`release`) where it is more than a day may take."""

        async def total() -> int:
            there = await people.offered(self.tenant)
            return sum(map(len, (await people.held_by_all(self.tenant, there)).values()))

        if changes:
            names = frozenset(map(following.brake_name, changes))
            await pass_brake(self.tenant, "removal", names, self.operation.id, self.now, total)

    async def send_open(self) -> None:
        """Wait for the batches that are open, and send again those whose message must be lost."""
        overdue = OVERDUE * self.tenant.settings.wait_scale
        last = await self.tenant.send_batches(self.operation.id, self.now, overdue=overdue)
        await self.save(replace(self.operation, state="running", waiting_for=None, not_before=last))

    # How a run ends

    async def done(self, *notes: str) -> None:
        """End it, with what stays as it is."""
        steps = tuple(
            replace(step, state="done", at=self.now) if step.state == "planned" else step
            for step in self.operation.steps
        )
        reasons = tuple(Reason("access", note) for note in notes)
        await self.save(replace(self.operation, state="done", waiting_for=None, reasons=reasons, steps=steps))

    async def fail(self, reasons: tuple[Reason, ...]) -> None:
        """End it where somebody must look, and tell the operators."""
        await self.save(fail(self.operation, reasons, self.now, tells=True))
        await tell_failed(self.tenant, self.operation)

    def waiting(self, what: What, whom: str, until: datetime) -> Operation:
        """The operation as it waits."""
        return wait(self.operation, what, whom, self.now, until)

    def has_taken(self, step: str, sentence: str | None = None) -> bool:
        """Whether an earlier run took this step."""
        return any(
            one.step == step and one.state == "done" and sentence in (None, one.sentence)
            for one in self.operation.steps
        )

    async def take(self, step: str, sentence: str, affects: str) -> None:
        """Note a step that was taken: cut before this, it is taken once more."""
        record = StepRecord(step, sentence, affects, "done", self.now)
        await self.save(replace(self.operation, steps=(*self.operation.steps, record), changed=self.now))

    async def save(self, operation: Operation) -> None:
        """Write the operation; raises `Changed` where another delivery was faster."""
        self.operation = await self.tenant.ledger.replace_operation(replace(operation, changed=self.now))
