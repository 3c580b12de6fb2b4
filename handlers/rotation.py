"""Rotation: find what is due, and open the operation that renews it; carrying it out is an onboarding's way.

    timer find_due                        every application's newest secret of ours, page by page -> what is due
    Event Grid secret_near_expiry         one secret that the vault calls near its end -> whether it is due
    POST /applications/.../rotations      one secret now; `compromised` retires the old one at once
    queue rotations                       observe -> plan -> mint, prove, promote, hand over -> wait -> retire

Neither timer nor event decides anything: one operation per credential does, from what is there when its message comes.
However many find the same secret due at the same moment, they open one.
"""

import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from clients.ledger import Changed, new_operation_id, repeat_name
from clients.tenant import Tenant
from sso import rotation, vault_events
from sso.caller import Caller
from sso.errors import GatehouseError, Reason, Refused
from sso.model import Application, Key, KeyId, PasswordCredential
from sso.onboarding import credential_of, plan
from sso.operation import Operation, accepted
from sso.request import from_json, standing
from vendors.profile import OidcProfile, Profile

_log = logging.getLogger(__name__)

REASON_LENGTH = 200
# The timer tries what failed for good, such as a refusal by policy, once a day again: its owner is mailed each time.
RETRY_FAILED = timedelta(days=1)


async def rotate(tenant: Tenant, key: Key, body: object, caller: Caller, now: datetime) -> Operation:
    """Open a rotation of the current client secret now; raises `Refused` with every reason."""
    reason = _reason(body)
    profile = tenant.profile(key.vendor)
    if not isinstance(profile, OidcProfile):
        detail = (
            f"{profile.name} signs in by SAML and has no client secret. Its signing certificate is not rotated yet."
        )
        raise Refused(Reason("vendor", detail))
    observed = await tenant.observe(key, profile, now)
    if observed.application is None:
        raise Refused(Reason("instance", f"There is no onboarded application '{key}'. Onboard it first."), status=404)
    current = credential_of(profile, observed, now)
    if current is None:
        raise Refused(Reason("instance", f"'{key}' has no current client secret. Repeat its onboarding."), status=409)
    last = await tenant.ledger.newest_of(key, "rotation")
    if last and not last.finished and _succeeds(last) == current:
        raise _rotates_already(last)
    compromised = reason == "compromised"
    asked = rotation.Rotation(KeyId(current), "compromised" if compromised else "requested")
    request = replace(standing(key, observed.application), rotation=asked)
    first = plan(profile, request, observed, tenant.deployment, now).steps
    opening = accepted(new_operation_id(now), "rotation", request, first, now, caller=caller.name)
    operation, opened = await _open(tenant, opening, last)
    if not opened:
        raise _rotates_already(operation)
    return operation


async def tick(tenant: Tenant, now: datetime) -> int:
    """Open an operation for every client secret of ours that is due; returns how many.

    One application that fails neither stops the others nor hides behind them.
    """
    opened = 0
    for key, application in await tenant.graph.managed():
        try:
            opened += await _open_if_newest_is_due(tenant, key, application, now)
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
    opened = await _open_if_due(tenant, event.key, application, credential, now, wake=True)
    if not opened:
        _log.info("an event of the vault opened nothing: the secret of %s is not due, or has its rotation", event.key)
    return opened


async def _open_if_newest_is_due(tenant: Tenant, key: Key, application: Application, now: datetime) -> bool:
    ours = [p for p in application.passwords if rotation.carries_marker(p.display_name, key)]
    newest = max(ours, key=lambda password: password.starts, default=None)
    return newest is not None and await _open_if_due(tenant, key, application, newest, now)


async def _open_if_due(
    tenant: Tenant,
    key: Key,
    application: Application,
    credential: PasswordCredential,
    now: datetime,
    *,
    wake: bool = False,
) -> bool:
    """Open the rotation of one secret, if it is due and has none; `wake` sends the message of one that it has."""
    profile: Profile = tenant.catalog.load(key.vendor)
    if not isinstance(profile, OidcProfile):
        return False
    policy = timedelta(days=profile.oidc.secret.renew_before_days)
    if not rotation.is_due(credential, policy, now):
        return False
    last = await tenant.ledger.newest_of(key, "rotation")
    if last and _succeeds(last) == credential.key_id:
        if not last.finished:
            if wake:
                await tenant.queues.send(last.queue, last.id)
            return False
        if last.state == "failed" and now - last.changed < RETRY_FAILED:
            return False
    request = replace(standing(key, application), rotation=rotation.Rotation(credential.key_id))
    _, opened = await _open(tenant, accepted(new_operation_id(now), "rotation", request, (), now), last)
    return opened


def _succeeds(operation: Operation) -> KeyId | None:
    asked = from_json(operation.request).rotation
    return asked.succeeds if asked else None


async def _open(tenant: Tenant, opening: Operation, last: Operation | None) -> tuple[Operation, bool]:
    """Open an operation once: whoever saw the same last one opens or finds the same; returns it, and whether we did.

    The message is sent by each of them; where all died before, the sweep sends it.
    """
    cause = repeat_name("rotation", str(opening.key), str(_succeeds(opening)), last.id if last else "none")
    opening = replace(opening, id=await tenant.ledger.claim(cause, opening.id, opening.created))
    try:
        operation, opened = await tenant.ledger.add_operation(opening), True
    except Changed:
        operation, opened = await tenant.ledger.find_operation(opening.id) or opening, False
    if not operation.finished:
        await tenant.queues.send(operation.queue, operation.id)
    return operation, opened


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
