"""What flows from an application to its service principal, some time after the write (graph-contract section 4)."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sandbox.graph.mirror import mirror_application
from sandbox.graph.store import Store
from sandbox.tenant import SandboxTenant


def synchronise_later(tenant: SandboxTenant, application: Mapping[str, Any], changed: frozenset[str]) -> None:
    """Let a service principal learn what was changed on its application: at once where nothing lags."""
    lag = max(tenant.unkind.lags("synchronisation", application["id"]))
    tenant.unkind.synchronisations.append((tenant.clock.now() + lag, application["id"], changed))
    synchronise(tenant)


def synchronise(tenant: SandboxTenant) -> None:
    """Bring to service principals what is due by now."""
    now = tenant.clock.now()
    waiting: list[tuple[datetime, str, frozenset[str]]] = []
    store = Store(tenant.directory, tenant.unkind)
    for due, application_id, changed in tenant.unkind.synchronisations:
        if due > now:
            waiting.append((due, application_id, changed))
            continue
        application = store.find("applications", application_id)
        found = application and store.find_by("service_principals", "appId", application["appId"])
        if application and found:
            mirror_application(application, found, changed)
            store.put("service_principals", found, due)
    tenant.unkind.synchronisations = waiting
