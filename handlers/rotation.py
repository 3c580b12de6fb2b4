"""Rotation: find what is due, and open the operation that renews it; carrying it out is an onboarding's way.

    timer find_due                        every application's secret or certificate, page by page -> what is due
    Event Grid secret_near_expiry         one secret that the vault calls near its end -> whether it is due
    POST /applications/.../rotations      one credential now; `compromised` retires the old one at once
    queue rotations                       secrets: observe -> plan -> mint, prove, promote, hand over -> wait -> retire
                                          certificates: add, announce -> wait -> activate -> retire

Neither timer nor event decides anything: one operation per credential does, from what is there when its message comes.
However many find the same credential due at the same moment, they open one.
"""

import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from clients.ledger import Changed, new_operation_id
from clients.tenant import Tenant
from clients.tenant.accepting import open_once
from sso import rollover, rotation, vault_events
from sso.caller import Caller
from sso.due import Due, due, notice, opens, succeeds
from sso.errors import GatehouseError, Reason, Refused
from sso.model import Application, Key, offboarded_since
from sso.observed import Observed
from sso.onboarding import plan
from sso.operation import Operation, accepted, planned
from sso.request import from_json, standing, to_json
from sso.told import credential_of
from vendors.profile import OidcProfile, Profile

_log = logging.getLogger(__name__)

REASON_LENGTH = 200


async def rotate(tenant: Tenant, key: Key, body: object, caller: Caller, now: datetime) -> Operation:
    """Open a rotation of the credential in use now; raises `Refused` with every reason.

    One that is under way and turns out to be about a compromised credential goes on as such.
    """
    compromised = _reason(body) == "compromised"
    profile = tenant.profile(key.vendor)
    observed = await tenant.observe(key, profile, now)
    request = standing(key, observed.application)
    current = _in_use(profile, observed, now)
    if current is None:
        raise Refused(Reason("instance", f"'{key}' has no current credential. Repeat its onboarding."), status=409)
    last = await tenant.ledger.newest_of(key, "rotation")
    if last and not last.finished and succeeds(last) == current:
        if compromised:
            return await _compromise(tenant, last, now)
        raise _rotates_already(last)
    request = replace(request, rotation=rotation.Rotation(current, "compromised" if compromised else "requested"))
    opening = accepted(new_operation_id(now), "rotation", request, (), now, caller=caller.name)
    first = plan(profile, request, observed, tenant.deployment, now, operation=opening.id).steps
    operation, opened = await _open(tenant, planned(opening, first, now), last)
    if not opened:
        raise _rotates_already(operation)
    return operation


def _in_use(profile: Profile, observed: Observed, now: datetime) -> str | None:
    """The key ID or thumbprint that people sign in with."""
    if isinstance(profile, OidcProfile):
        return credential_of(profile, observed, now)
    found = observed.service_principal
    signing = rollover.active(found) if found else None
    return signing.thumbprint if signing else None


async def _compromise(tenant: Tenant, operation: Operation, now: datetime) -> Operation:
    """Let a rotation that is under way retire the old credential at once."""
    request = from_json(operation.request)
    if request.rotation:
        request = replace(request, rotation=replace(request.rotation, reason="compromised"))
    going_on = replace(
        operation, request=to_json(request), state="accepted", waiting_for=None, not_before=now, changed=now
    )
    try:
        written = await tenant.ledger.replace_operation(going_on)
    except Changed:
        detail = f"Operation {operation.id} has just changed; send the request again."
        raise Refused(Reason("operation", detail), status=409) from None
    await tenant.queues.send(operation.queue, operation.id)
    return written


async def tick(tenant: Tenant, now: datetime) -> int:
    """Open an operation for every credential in use that is due; returns how many.

    One application that fails neither stops the others nor hides behind them.
    """
    opened = 0
    service_principals = await tenant.graph.managed_service_principals()
    under_way = {(op.key, succeeds(op)) async for op in tenant.ledger.unfinished() if op.kind == "rotation"}
    for key, application in await tenant.graph.managed():
        try:
            service_principal = service_principals.get(application.client_id)
            for found in due(tenant.catalog.load(key.vendor), key, application, service_principal, now):
                if (key, found.credential) not in under_way:
                    opened += await _open_if_none(tenant, key, application, found, now)
        except (GatehouseError, LookupError, ValueError) as error:
            _log.warning("Rotation of %s could not be looked at: %s", key, error)
    return opened


async def near_expiry(tenant: Tenant, kind: object, data: object, now: datetime) -> bool:
    """Wake the rotation of the secret that an event of the vault is about; returns whether it opened one.

    What is not near its end, not ours, not current any more or malformed is ignored with a line in the log. Raises
    `NotReady` where tenant or vault do not answer: Event Grid delivers again.
    """
    try:
        event = vault_events.near_end(kind, data)
        profile = tenant.profile(event.key.vendor)
        observed = await tenant.observe(event.key, profile, now)
    except (vault_events.Ignored, Refused) as error:
        _log.info("ignored an event of the vault: %s", error)
        return False
    application = observed.application
    passwords = application.passwords if application else ()
    current = rotation.SecretFacts(event.key, passwords, observed.versions, now).current
    credential = next((password for password in passwords if current and password.key_id == current.key_id), None)
    if application is None or current is None or credential is None or current.version != event.version:
        _log.info("ignored an event of the vault: version %.40r of %s is not current", event.version, event.key)
        return False
    near = rotation.is_due(credential, notice(profile), now)
    found = Due(credential.key_id)
    opened = near and await _open_if_none(tenant, event.key, application, found, now, wake=True)
    if not opened:
        _log.info("an event of the vault opened nothing: the secret of %s is not due, or has its rotation", event.key)
    return opened


async def _open_if_none(
    tenant: Tenant, key: Key, application: Application, found: Due, now: datetime, *, wake: bool = False
) -> bool:
    """Open the rotation of a credential that is due, if it has none; `wake` sends the message of one that it has."""
    if offboarded_since(application.tags):
        return False  # it is deleted before anything of it ends, or brought back and found again
    last = await tenant.ledger.newest_of(key, "rotation")
    if not opens(found, last, now):
        if wake and last and not last.finished:
            await tenant.queues.send(last.queue, last.id)
        return False
    request = replace(standing(key, application), rotation=rotation.Rotation(found.credential))
    _, opened = await _open(tenant, accepted(new_operation_id(now), "rotation", request, (), now), last)
    return opened


async def _open(tenant: Tenant, opening: Operation, last: Operation | None) -> tuple[Operation, bool]:
    """Open an operation once: whoever saw the same last one opens or finds the same; returns it, and whether we did."""
    last_id = last.id if last else "none"
    return await open_once(tenant, opening, "rotation", str(opening.key), str(succeeds(opening)), last_id)


def _rotates_already(operation: Operation) -> Refused:
    detail = f"Operation {operation.id} rotates '{operation.key}' already. Look at it, or replay it."
    return Refused(Reason("instance", detail), status=409)


def _reason(body: object) -> str:
    """The reason of a request: one line; raises `Refused`."""
    given: Mapping[str, Any] = body if isinstance(body, dict) else {}
    reason = given.get("reason")
    if set(given) != {"reason"} or not isinstance(reason, str) or not 0 < len(reason) <= REASON_LENGTH:
        detail = 'The body must be {"reason": "..."}; the reason \'compromised\' retires the old secret at once.'
        raise Refused(Reason("reason", detail))
    return reason
