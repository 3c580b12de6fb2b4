"""Retention: each night the ledger forgets what is older than `GATEHOUSE_RETENTION_DAYS`.

A run that dies goes on the next night; two at once find the rows of the other gone.
"""

import logging
from datetime import datetime, timedelta

from clients.tenant import Tenant
from sso.errors import GatehouseError

_log = logging.getLogger(__name__)


async def run(tenant: Tenant, now: datetime) -> int:
    """Delete what is over, and take names out of what is still needed; returns how many rows that were."""
    ledger, before = tenant.ledger, now - timedelta(days=tenant.settings.retention_days)
    try:
        managed = frozenset(key.row for key, _ in await tenant.graph.managed())
        forgotten = await ledger.forget_operations(before)
        forgotten += await ledger.forget_notes(before)
        forgotten += await ledger.forget_pages(before, managed)
        return forgotten + await ledger.forget_people(before)
    except GatehouseError as error:
        _log.warning("The ledger forgets what is over tomorrow night: %s", error)
        return 0
