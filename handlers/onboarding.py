"""Onboarding: a request is checked, planned and accepted; a queue message then carries it out, step by step.

    POST /onboardings           check -> plan (?mode=plan)  or  check -> operation -> message
    queue onboardings           observe -> plan -> apply the first step -> plan again ... -> settle
    POST .../handoffs           the same, for an application that is there: a new hand-off
    PUT .../parameters          what the vendor supplied; the waiting operation goes on

A run takes steps until the plan is empty or waits for something outside. It may be lost, doubled or killed: the next
one observes afresh and finds only what is missing.
"""

import asyncio
import logging
import secrets
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from pydantic import TypeAdapter

from clients.ledger import Changed, Repeat, body_hash, new_operation_id, repeat_name
from clients.tenant import Tenant, Work
from sso import permissions
from sso import request as requests
from sso.caller import Caller
from sso.errors import GatehouseError, NotReady, Reason, Refused, TenantError
from sso.handoff import IdentityProvider, admin_consent_url
from sso.letters import Asked, compose_consent_needed, compose_operation_failed
from sso.model import Key, OperationId, Principal, owner_from_tags, parameters_from_tags
from sso.observed import Observed, remember
from sso.onboarding import plan
from sso.operation import IDEMPOTENCY, REPLICATION_LIMIT, Operation, What, fail, planned, took, wait
from sso.request import Draft, Onboarding
from sso.steps import Assign, Plan
from vendors.profile import OidcProfile, Profile

_log = logging.getLogger(__name__)

PATIENCE = 20.0  # seconds that one run may wait for replication; more goes through the queue (design 5)
RUN_LIMIT = timedelta(minutes=5)  # that one run may take; the host's limit is twice that
LEASE_RENEWAL = timedelta(seconds=20)  # after which a lease of 60 s is renewed
BUSY_PAUSE = 15.0  # seconds until a key that another run holds is tried again
PERMISSION_PAUSE = timedelta(hours=1)  # tokens are cached for up to a day, so a grant shows late

ONBOARDING = TypeAdapter(Onboarding)


# Accepting


async def preview(tenant: Tenant, body: object, now: datetime) -> Plan:
    """Check a request and return its plan; nothing is written. Raises `Refused` with every reason."""
    profile, request, observed = await _checked(tenant, body, now)
    return plan(profile, request, observed, tenant.deployment, now)


async def accept(tenant: Tenant, body: object, caller: Caller, now: datetime) -> Operation:
    """Check a request, write its operation and send its message; raises `Refused` with every reason.

    A repeat, by the header or by an unfinished operation of the same ticket, answers with that operation.
    """
    ticket = _ticket_name(body)
    if repeated := await _repeated(tenant, caller, ticket, body, now):
        return repeated
    profile, request, observed = await _checked(tenant, body, now)
    first = plan(profile, request, observed, tenant.deployment, now)
    return await _open(tenant, request, first, caller, ticket, body, now)


async def hand_off_again(tenant: Tenant, key: Key, caller: Caller, now: datetime) -> Operation:
    """Issue a new hand-off of an application that is there; a secret that was collected in vain is replaced first."""
    name = {"handoff": str(key)}
    if repeated := await _repeated(tenant, caller, None, name, now):
        return repeated
    profile = tenant.catalog.load(key.vendor)
    observed = await tenant.observe(key, profile, now)
    request = replace(_standing_request(key, observed), hand_off_again=True)
    first = plan(profile, request, observed, tenant.deployment, now)
    return await _open(tenant, request, first, caller, None, name, now)


async def supply(tenant: Tenant, key: Key, body: object, caller: Caller, now: datetime) -> Operation:
    """Take the parameters that the vendor supplied, and go on with the operation that waits for them."""
    profile = tenant.catalog.load(key.vendor)
    supplied, reasons = requests.parse_supplied(body, profile)
    if reasons:
        raise Refused(*reasons)
    for operation in await tenant.ledger.unfinished_of(key):
        if operation.kind == "onboarding":
            request = _request_of(operation)
            request = replace(request, parameters={**request.parameters, **supplied})
            if reasons := requests.check_addresses(profile, request.parameters):
                raise Refused(*reasons)
            found = await tenant.ledger.find_operation(operation.id)
            if found is None:
                continue
            changed = replace(found, request=ONBOARDING.dump_python(request, mode="json"), not_before=now, changed=now)
            written = await tenant.ledger.replace_operation(replace(changed, handed_off=False))
            await tenant.queues.send("onboardings", operation.id)
            return written
    observed = await tenant.observe(key, profile, now)
    standing = _standing_request(key, observed)
    request = replace(standing, parameters={**standing.parameters, **supplied})
    if reasons := requests.check_addresses(profile, request.parameters):
        raise Refused(*reasons)
    first = plan(profile, request, observed, tenant.deployment, now)
    return await _open(tenant, request, first, caller, None, body, now)


async def _checked(tenant: Tenant, body: object, now: datetime) -> tuple[Profile, Onboarding, Observed]:
    """Parse and compare with the directory; both lists of reasons together."""
    draft, reasons = requests.parse(body, tenant.catalog)
    facts = await _directory_facts(tenant, draft, now)
    settings = tenant.settings
    reasons += requests.check(draft, facts, settings.consent_scopes, settings.cloud)
    if reasons or draft.profile is None or facts.observed is None:
        raise Refused(*reasons)
    return draft.profile, requests.accept(draft, facts), facts.observed


async def _directory_facts(tenant: Tenant, draft: Draft, now: datetime) -> requests.DirectoryFacts:
    """Look up whatever the draft names."""
    owners = [draft.owner] if draft.owner else []
    users, groups, either = await tenant.graph.principals(draft.users, draft.groups, owners)
    found = either[draft.owner] if draft.owner else ()
    allowed = True
    if len(found) == 1 and tenant.settings.owners_group:
        allowed = await tenant.graph.is_member(tenant.settings.owners_group, found[0].object_id)
    observed = Observed(draft.key) if draft.key else None
    if draft.key and draft.profile:
        observed = await tenant.observe(draft.key, draft.profile, now)
    return requests.DirectoryFacts(observed, found, users, groups, allowed)


def _ticket_name(body: object) -> str | None:
    """Under which name a ticket's operation is noted: kind, ticket and key."""
    if not isinstance(body, dict) or not isinstance(body.get("ticket"), str):
        return None
    return repeat_name("onboarding", body["ticket"], f"{body.get('vendor')}/{body.get('instance', 'default')}")


def _header_name(caller: Caller) -> str | None:
    return repeat_name("header", caller.idempotency_key) if caller.idempotency_key else None


async def _repeated(
    tenant: Tenant, caller: Caller, ticket: str | None, body: object, now: datetime
) -> Operation | None:
    """The operation that this request repeats; raises `Refused` (409) where the body is another one."""
    for name, what in ((_header_name(caller), "Idempotency-Key"), (ticket, "ticket")):
        found = await tenant.ledger.find_repeat(name) if name else None
        operation = await tenant.ledger.find_operation(found.operation) if found else None
        if found is None or operation is None:
            continue
        expired = now - found.at > IDEMPOTENCY if what == "Idempotency-Key" else operation.finished
        if expired:
            continue
        if found.body_hash != body_hash(body):
            detail = f"Operation {operation.id} has this {what} and another body. Use another {what}, or the same body."
            raise Refused(Reason(what, detail), status=409)
        if not operation.finished:
            await tenant.queues.send("onboardings", operation.id)
        return operation
    return None


async def _open(
    tenant: Tenant, request: Onboarding, first: Plan, caller: Caller, ticket: str | None, body: object, now: datetime
) -> Operation:
    """Write the operation, then send its message; between the two the sweep takes it up."""
    operation = Operation(
        id=new_operation_id(now),
        kind="onboarding",
        key=request.key,
        request=ONBOARDING.dump_python(request, mode="json"),
        state="accepted",
        created=now,
        changed=now,
        not_before=now,
        ticket=request.ticket,
        requested_by=request.requested_by,
        caller=caller.name,
    )
    repeat = Repeat(operation.id, body_hash(body), now)
    operation = await tenant.ledger.add_operation(planned(operation, first.steps, now))
    for name in filter(None, (_header_name(caller), ticket)):
        await tenant.ledger.put_repeat(name, repeat)
    await tenant.queues.send("onboardings", operation.id)
    return operation


def _standing_request(key: Key, observed: Observed) -> Onboarding:
    """What the application's own tags say was asked for; raises `Refused` (404) where there is no application."""
    application = observed.application
    owner = owner_from_tags(application.tags) if application else None
    if application is None or owner is None:
        raise Refused(Reason("instance", f"There is no onboarded application '{key}'. Onboard it first."), status=404)
    return Onboarding(key=key, parameters=parameters_from_tags(application.tags), owner=owner)


def _request_of(operation: Operation) -> Onboarding:
    return ONBOARDING.validate_python(operation.request)


# Running


async def run(tenant: Tenant, operation_id: OperationId, now: datetime) -> None:
    """Carry an operation on until it waits for something, is done or has failed; an unknown or finished one is none."""
    operation = await tenant.ledger.find_operation(operation_id)
    if operation is None or operation.key is None or operation.finished:
        return
    if operation.handed_off:
        await tenant.send_batches(operation.id)
        await tenant.settle(operation.id, now)
        return
    holder = secrets.token_hex(8)
    if not await tenant.lease(operation.key, holder, now):
        await tenant.queues.send("onboardings", operation.id, delay=BUSY_PAUSE * tenant.settings.wait_scale)
        return
    try:
        await _Run(tenant, operation, holder, now).through()
    finally:
        await tenant.ledger.release(operation.key, holder)


class _Run:
    """One run of one operation: what it holds, and how it ends."""

    def __init__(self, tenant: Tenant, operation: Operation, holder: str, now: datetime) -> None:
        self.tenant = tenant
        self.operation = operation
        self.request = _request_of(operation)
        self.profile = tenant.catalog.load(self.request.key.vendor)
        self.holder = holder
        self.waited = 0.0
        self.checked = False
        self._began = now, asyncio.get_running_loop().time()

    @property
    def now(self) -> datetime:
        """The time that this run was given, and what it has taken since."""
        given, began = self._began
        return given + timedelta(seconds=asyncio.get_running_loop().time() - began)

    async def through(self) -> None:
        """Take steps until the plan is empty; whatever stops it becomes the operation's state."""
        try:
            rest = await self._take_steps()
        except NotReady as error:
            await self._not_ready(error)
        except TenantError as error:
            await self._tenant_error(error)
        except Refused as error:
            await self._fail(error.reasons)
        else:
            await self._end(rest)

    async def _take_steps(self) -> Plan:
        tenant = self.tenant
        began = renewed = self.now
        observed = await self._observe()
        batches = await tenant.ledger.batches(self.operation.id)
        queued = frozenset(grant.principal_id for batch in batches for grant in batch.grants)
        while True:
            rest = self._plan(observed, queued)
            await self._save(replace(planned(self.operation, rest.steps, self.now), state="running", waiting_for=None))
            if not rest.steps:
                return rest
            await self._preflight()
            if self.now - began > RUN_LIMIT * tenant.settings.wait_scale:
                msg = "This run has used its time; the next one goes on."
                raise NotReady(msg, retry_after=1, waiting_for="time")
            if self.now - renewed > LEASE_RENEWAL * tenant.settings.wait_scale:
                await tenant.lease(self.request.key, self.holder, self.now)
                renewed = self.now
            step = rest.steps[0]
            try:
                observed = await tenant.apply(
                    step, Work(self.operation, self.request, self.profile, observed), self.now
                )
            except NotReady as error:
                if self.waited + error.retry_after > PATIENCE:
                    raise
                await tenant.wait(error.retry_after)
                self.waited += error.retry_after
                observed = remember(await self._observe(), observed)
                continue
            self.operation = took(self.operation, step, self.now)
            if isinstance(step, Assign):
                queued |= {principal.object_id for principal in step.principals}

    async def _preflight(self) -> None:
        """See, before the first write, that our own token carries what this request needs."""
        if not self.checked:
            roles = (await self.tenant.graph.identity()).roles
            if missing := permissions.lacking(self.request, roles):
                raise TenantError(permissions.where_to_grant(missing), missing=missing[0])
            self.checked = True

    async def _observe(self) -> Observed:
        return await self.tenant.observe(self.request.key, self.profile, self.now)

    def _plan(self, observed: Observed, queued: frozenset[str]) -> Plan:
        return plan(
            self.profile,
            self.request,
            observed,
            self.tenant.deployment,
            self.now,
            queued=queued,
            operation=self.operation.id,
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
        if rest.block is None:
            await self._save(replace(self.operation, handed_off=True, not_before=self.now))
            await self.tenant.settle(self.operation.id, self.now)
        elif rest.block.what == "failed":
            await self._fail((Reason("vendor", rest.block.detail),))
        else:
            until = self.now + PERMISSION_PAUSE * 24
            await self._save(wait(self.operation, "parameters", rest.block.whom, self.now, until))

    async def _not_ready(self, error: NotReady) -> None:
        waiting = self.operation.waiting_for
        before = waiting if waiting and waiting.what == error.waiting_for else None
        limit = REPLICATION_LIMIT * self.tenant.settings.wait_scale
        if error.waiting_for == "replication" and before and self.now - before.since > limit:
            await self._fail(error.reasons)
            return
        delay = error.retry_after * self.tenant.settings.wait_scale
        until = self.now + timedelta(seconds=delay)
        await self._save(wait(self.operation, error.waiting_for, "the tenant", self.now, until))
        await self.tenant.queues.send("onboardings", self.operation.id, delay=delay)

    async def _tenant_error(self, error: TenantError) -> None:
        if error.missing is None:
            await self._fail(error.reasons)
            return
        first = self.operation.waiting_for is None or self.operation.waiting_for.what not in {"consent", "permission"}
        what: What = "consent" if error.missing == permissions.CONSENT else "permission"
        whom = "an administrator" if what == "consent" else "the operators"
        waiting = wait(self.operation, what, whom, self.now, self.now + PERMISSION_PAUSE)
        await self._save(replace(waiting, reasons=error.reasons))
        if what == "consent" and first:
            await self._ask_for_consent()

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
            owner=await self._owner(),
            operation=self.operation.id,
            scopes=self.profile.oidc.scopes,
            consent_url=admin_consent_url(provider),
        )
        await self.tenant.mail(letter)

    async def _fail(self, reasons: tuple[Reason, ...]) -> None:
        await self._save(fail(self.operation, reasons, self.now))
        letter = compose_operation_failed(
            self.request.key,
            self.profile.name,
            organisation=self.tenant.organisation,
            owner=await self._owner(),
            operation=self.operation.id,
            kind=self.operation.kind,
            reasons=reasons,
            asked=Asked(self.request.requested_by, self.request.ticket),
        )
        try:
            await self.tenant.mail(letter)
        except GatehouseError as error:
            # The state is written; who asks for the operation reads why. The mail may be what failed.
            _log.warning("The owner could not be told of operation %s: %s", self.operation.id, error)

    async def _owner(self) -> Principal | None:
        return await self.tenant.find_principal(self.request.owner)


def steps_of(found: Plan) -> Mapping[str, Any]:
    """A plan as the API shows it."""
    return {
        "steps": [{"step": s.name, "sentence": s.sentence, "affects": s.affects} for s in found.steps],
        "notes": list(found.notes),
    }
