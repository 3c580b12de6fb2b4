"""Onboarding: the queue message of an accepted operation carries it out, step by step.

    observe -> plan -> apply what comes next -> plan again ... -> settle

Two steps that need nothing of one another are taken at the same moment, and what was taken before is noted beside them.
A run takes steps until the plan is empty or waits for something outside. It may be lost, doubled or killed: the next
one observes afresh and finds only what is missing.
"""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

from clients.graph.together import together
from clients.ledger import Changed
from clients.tenant import Held, Tenant, Work
from clients.tenant.failing import tell_failed
from clients.tenant.leasing import BUSY_PAUSE
from sso import offboarding, permissions
from sso.assignment import OVERDUE
from sso.budget import cost
from sso.errors import GatehouseError, NotReady, Reason, Refused, TenantError
from sso.handoff import IdentityProvider, admin_consent_url
from sso.letters import compose_consent_needed
from sso.model import OperationId
from sso.observed import Observed, learned, remember
from sso.onboarding import plan
from sso.operation import REPLICATION_LIMIT, Kind, Operation, What, fail, planned, took, wait
from sso.request import from_json
from sso.steps import Assign, Plan, Step, at_once
from vendors.profile import OidcProfile

PATIENCE = 20.0  # seconds that one run may wait for replication; more goes through the queue (design 5)
RUN_LIMIT = timedelta(minutes=5)  # that one run may take; the host's limit is twice that
ENDING_BY_ITSELF: frozenset[Kind] = frozenset({"rotation", "offboarding"})  # no acknowledgement ends these
PERMISSION_PAUSE = timedelta(hours=1)  # tokens are cached for up to a day, so a grant shows late


async def run(tenant: Tenant, operation_id: OperationId, now: datetime) -> None:
    """Carry an operation on until it waits for something, is done or has failed; an unknown or finished one is none."""
    operation = await tenant.ledger.find_operation(operation_id)
    if operation and operation.handed_off:
        operation = await _settled(tenant, operation, now)
    if operation is None or operation.key is None or operation.finished:
        return
    this = _Run(tenant, operation, now)
    async with tenant.leased(operation, now) as held:
        if held:
            await this.through(held)


async def _settled(tenant: Tenant, operation: Operation, now: datetime) -> Operation | None:
    """Move what is handed off to where batches and acknowledgement are; returned where there is somebody to remind."""
    await tenant.send_batches(operation.id, now, overdue=OVERDUE * tenant.settings.wait_scale)
    await tenant.settle(operation.id, now)
    if operation.not_before > now:
        return None
    found = await tenant.ledger.find_operation(operation.id)
    return found if found and found.state == "waiting" else None


class _Run:
    """One run of one operation: what it holds, and how it ends."""

    def __init__(self, tenant: Tenant, operation: Operation, now: datetime) -> None:
        self.tenant = tenant
        self.operation = operation
        self.request = from_json(operation.request)
        self.profile = tenant.catalog.load(self.request.key.vendor)
        self.waited_for = operation.waiting_for  # what earlier runs waited for, until a step is taken
        self.waited = 0.0
        self.roles: frozenset[str] | None = None  # what our own token carries, once it was looked at
        self.queued: frozenset[str] = frozenset()  # principals whose grants are on their way
        self._began = now, asyncio.get_running_loop().time()

    @property
    def now(self) -> datetime:
        """The time that this run was given, and what it has taken since."""
        given, began = self._began
        return given + timedelta(seconds=asyncio.get_running_loop().time() - began)

    async def through(self, held: Held) -> None:
        """Take steps until the plan is empty; whatever stops it becomes the operation's state."""
        try:
            rest = await self._take_steps(held)
        except NotReady as error:
            await self._not_ready(error)
        except TenantError as error:
            await self._tenant_error(error)
        except Refused as error:
            await self._fail(error.reasons)
        else:
            await self._end(rest)

    async def _take_steps(self, held: Held) -> Plan:
        tenant, began = self.tenant, self.now
        observed, batches = await together(self._observe(), tenant.ledger.batches(self.operation.id))
        self.queued = frozenset(change.principal_id for batch in batches for change in batch.changes)
        while True:
            rest = self._plan(observed)
            if not self.operation.handed_off:
                going_on = planned(self.operation, rest.steps, self.now)
                self.operation = replace(going_on, state="running", waiting_for=None)
            if not rest.steps:
                return rest
            roles = await self._preflight(rest)
            if self.now - began > RUN_LIMIT * tenant.settings.wait_scale:
                msg = "This run has used its time; the next one goes on."
                raise NotReady(msg, retry_after=1, waiting_for="time")
            if held.lost:
                msg = f"Another run has taken {self.request.key} over; this one goes on after it."
                raise NotReady(msg, retry_after=BUSY_PAUSE, waiting_for="time")
            taken = at_once(rest.steps, consents=permissions.has(permissions.CONSENT, roles))
            observed, failed = await self._take(taken, observed)
            if failed is None:
                continue
            if not isinstance(failed, NotReady) or self.waited + failed.retry_after > PATIENCE:
                raise failed
            await tenant.wait(failed.retry_after)
            self.waited += failed.retry_after
            observed = remember(await self._observe(), observed)

    async def _take(self, taken: tuple[Step, ...], before: Observed) -> tuple[Observed, GatehouseError | None]:
        """Take steps at the same moment; returns what is there now, and the first failure."""
        work = Work(self.operation, self.request, self.profile, before)
        noting = asyncio.create_task(self._note())
        try:
            results = await self.tenant.apply_at_once(taken, work, self.now)
        finally:
            await noting
        observed, failed = before, None
        for step, result in zip(taken, results, strict=True):
            if isinstance(result, GatehouseError):
                failed = failed or result
                continue
            observed = learned(observed, before, result)
            self.operation = took(self.operation, step, self.now)
            self.waited_for = None
            if isinstance(step, Assign):
                self.queued |= {principal.object_id for principal in step.principals}
        return observed, failed

    async def _note(self) -> None:
        """Write how far the run has come; a hand-off that is only reminded of stays where it waits."""
        if not self.operation.handed_off:
            await self._save(self.operation)

    async def _preflight(self, rest: Plan) -> frozenset[str]:
        """See, before the first write, that our token carries what is needed, and reserve all writes; returns it."""
        if self.roles is None:
            roles = (await self.tenant.graph.identity()).roles
            if missing := permissions.lacking(self.request, roles, mints=rest.mints):
                raise TenantError(permissions.where_to_grant(missing), missing=missing[0])
            await self.tenant.reserve(cost(rest.steps), self.now, urgent=True)
            self.roles = roles
        return self.roles

    async def _observe(self) -> Observed:
        return await self.tenant.observe(self.request.key, self.profile, self.now, self.request.owner)

    def _plan(self, observed: Observed) -> Plan:
        if self.operation.kind == "offboarding":
            taken = frozenset(step.step for step in self.operation.steps if step.state == "done")
            days = self.tenant.deployment.offboard_days
            return offboarding.plan(self.profile, observed, self.operation.created, days, self.now, taken=taken)
        return plan(
            self.profile,
            self.request,
            observed,
            self.tenant.deployment,
            self.now,
            queued=self.queued,
            operation=self.operation.id,
            handed_off=self.operation.handed_off,
        )

    async def _save(self, operation: Operation) -> None:
        """Write the operation; what another writer changed meanwhile is read and kept where it is not ours."""
        for _ in range(5):
            try:
                self.operation = await self.tenant.ledger.replace_operation(operation)
            except Changed:
                found = await self.tenant.ledger.find_operation(operation.id)
                operation = replace(operation, etag=found.etag if found else None)
            else:
                return
        msg = f"The operation {operation.id} changes faster than it can be written."
        raise NotReady(msg, retry_after=5)

    # How a run ends

    async def _end(self, rest: Plan) -> None:
        if self.operation.handed_off:
            await self._save(self.operation)
            await self.tenant.settle(self.operation.id, self.now, self.operation)
        elif rest.block and rest.block.what == "undone":
            undone = replace(self.operation, state="done", waiting_for=None)
            await self._save(replace(undone, reasons=(Reason("tenant", rest.block.detail),)))
        elif rest.pause and self.operation.kind in ENDING_BY_ITSELF:
            await self._save(wait(self.operation, rest.pause.what, rest.pause.whom, self.now, rest.pause.until))
        elif rest.block is None and self.operation.kind in ENDING_BY_ITSELF:
            await self._save(replace(self.operation, state="done", waiting_for=None))
        elif rest.block is None:
            await self._save(replace(self.operation, handed_off=True, not_before=self.now))
            await self.tenant.settle(self.operation.id, self.now, self.operation)
        elif rest.block.what == "failed":
            await self._fail((Reason("vendor", rest.block.detail),))
        else:
            until = self.now + PERMISSION_PAUSE * 24
            await self._save(self._waiting("parameters", rest.block.whom, until))

    async def _not_ready(self, error: NotReady) -> None:
        before = self.waited_for if self.waited_for and self.waited_for.what == error.waiting_for else None
        limit = REPLICATION_LIMIT * self.tenant.settings.wait_scale
        if error.waiting_for == "replication" and before and self.now - before.since > limit:
            await self._fail(error.reasons)
            return
        delay = error.retry_after * self.tenant.settings.wait_scale
        until = self.now + timedelta(seconds=delay)
        if error.waiting_for == "release":
            await self._save(replace(self._waiting("release", "the operators", until), reasons=error.reasons))
        else:
            await self._save(self._waiting(error.waiting_for, "the tenant", until))
        await self.tenant.queues.send(self.operation.queue, self.operation.id, delay=delay)

    async def _tenant_error(self, error: TenantError) -> None:
        if error.missing is None:
            await self._fail(error.reasons)
            return
        what: What = "consent" if error.missing == permissions.CONSENT else "permission"
        whom = "an administrator" if what == "consent" else "the operators"
        if what == "consent" and (self.waited_for is None or self.waited_for.what != "consent"):
            await self._ask_for_consent()  # before the row: cut in between, the mail is sent once more
        waiting = self._waiting(what, whom, self.now + PERMISSION_PAUSE)
        await self._save(replace(waiting, reasons=error.reasons))

    def _waiting(self, what: What, whom: str, until: datetime) -> Operation:
        """The operation waiting; where earlier runs waited for the same, since they did."""
        return wait(replace(self.operation, waiting_for=self.waited_for), what, whom, self.now, until)

    async def _ask_for_consent(self) -> None:
        observed = await self._observe()
        if observed.application is None or not isinstance(self.profile, OidcProfile):
            return
        settings = self.tenant.settings
        provider = IdentityProvider(settings.tenant_id, settings.authority_url, observed.application.client_id)
        letter = compose_consent_needed(
            self.request.key,
            self.profile.name,
            organisation=self.tenant.organisation,
            owner=await self.tenant.find_principal(self.request.owner),
            operation=self.operation.id,
            scopes=self.profile.oidc.scopes,
            consent_url=admin_consent_url(provider),
        )
        await self.tenant.mail(letter)

    async def _fail(self, reasons: tuple[Reason, ...]) -> None:
        await self._save(fail(self.operation, reasons, self.now, tells=True))
        await tell_failed(self.tenant, self.operation)
