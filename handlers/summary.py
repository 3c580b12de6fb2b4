"""The nightly summary: read pages, write the night's row, mail the operators once.

    timer summary   claim the day's row -> read -> mail -> note that it was mailed
    timer sweep     the same for a day whose run died before its mail was taken

Two timers that run at once find the row of the other. A mail whose answer was lost may be sent twice, with the same
reference; one part of the tenant that does not answer becomes a line and hides no other.
"""

import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import TypeVar

from clients.tenant import Tenant
from sso import rotation
from sso.errors import GatehouseError
from sso.model import Key, PasswordCredential
from sso.operation import Operation
from sso.summary import FAILED_WITHIN, Managed, Night, PutAside, candidates, compose_summary

T = TypeVar("T")

_log = logging.getLogger(__name__)

DEAD = timedelta(minutes=10)  # a run that has not mailed by then never will: host.json ends it
LATEST = timedelta(days=1)  # a summary that is older than this says nothing any more


async def send(tenant: Tenant, now: datetime) -> bool:
    """Mail tonight's summary, unless that was done or another run is at it; returns whether this run did."""
    return await _send(tenant, f"{now:%Y-%m-%d}", now)


async def resume(tenant: Tenant, now: datetime) -> bool:
    """Mail the newest summary that a run began and died over; returns whether there was one."""
    day = await tenant.ledger.unmailed_summary(f"{now - LATEST:%Y-%m-%d}")
    return day is not None and await _send(tenant, day, now)


async def _send(tenant: Tenant, day: str, now: datetime) -> bool:
    try:
        claim = await tenant.ledger.claim_summary(day, now, DEAD * tenant.settings.wait_scale)
        if claim is None:
            return False
        night = await read(tenant, now)
        await tenant.mail(compose_summary(night, day, now, organisation=tenant.organisation))
        await tenant.ledger.summary_mailed(claim, now)
    except GatehouseError as error:
        _log.warning("The summary of %s could not be mailed; the sweep tries again: %s", day, error)
        return False
    return True


async def read(tenant: Tenant, now: datetime) -> Night:
    """Read everything that a summary tells: lists only, and versions where the lists leave a secret open."""
    unread: list[str] = []

    async def part(name: str, look: Callable[[], Awaitable[T]], nothing: T) -> T:
        try:
            return await look()
        except GatehouseError as error:
            unread.append(f"{name}: {error}")
            return nothing

    nothing: tuple[Managed, ...] = ()
    applications = await part("Applications", lambda: _applications(tenant), nothing)
    return Night(
        applications=applications,
        without_value=await part("Vault", lambda: _without_value(tenant, applications, now), ()),
        unfinished=await part("Unfinished operations", lambda: _unfinished(tenant), ()),
        failed=await part("Failed operations", lambda: _failed(tenant, now), ()),
        reconciled=await part("Reconciling", lambda: _reconciled(tenant, now), ()),
        queues=await part("Queues", tenant.queues.lengths, {}),
        put_aside=await part("Messages put aside", lambda: _put_aside(tenant), ()),
        unread=tuple(unread),
    )


async def _applications(tenant: Tenant) -> tuple[Managed, ...]:
    managed = sorted(await tenant.graph.managed(), key=lambda entry: entry[0])
    service_principals = await tenant.graph.managed_service_principals()
    return tuple(
        Managed(key, application, service_principals.get(application.client_id), tenant.catalog.find(key.vendor))
        for key, application in managed
    )


async def _without_value(
    tenant: Tenant, applications: tuple[Managed, ...], now: datetime
) -> tuple[tuple[Key, PasswordCredential], ...]:
    """The secrets of ours that no version knows; only where the newest versions leave one open are all looked at."""
    found: list[tuple[Key, PasswordCredential]] = []
    for managed in candidates(applications, await tenant.vault.newest_key_ids()):
        application = managed.application
        versions = await tenant.vault.versions(managed.key, application.client_id)
        facts = rotation.SecretFacts(managed.key, application.passwords, versions, now)
        found += [(managed.key, password) for password in facts.without_value]
    return tuple(found)


async def _unfinished(tenant: Tenant) -> tuple[Operation, ...]:
    return tuple([operation async for operation in tenant.ledger.unfinished()])


async def _failed(tenant: Tenant, now: datetime) -> tuple[Operation, ...]:
    return tuple([operation async for operation in tenant.ledger.failed_since(now - FAILED_WITHIN)])


async def _reconciled(tenant: Tenant, now: datetime) -> tuple[Operation, ...]:
    return tuple([operation async for operation in tenant.ledger.done_since(now - FAILED_WITHIN, "reconcile")])


async def _put_aside(tenant: Tenant) -> tuple[PutAside, ...]:
    rows = await tenant.ledger.unreadable()
    return tuple(
        PutAside(str(row["queue"]), str(row["reason"]), datetime.fromisoformat(str(row["at"]))) for row in rows
    )
