"""Rotation: find what is due, and open the operation that renews it; carrying it out is an onboarding's way.

    timer find_due                        every application's newest secret of ours, page by page -> what is due
    POST /applications/.../rotations      one secret now; `compromised` retires the old one at once
    queue rotations                       observe -> plan -> mint, prove, promote, hand over -> wait -> retire

A timer decides nothing: one operation per credential does, from what is there when its message comes.
"""

import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from clients.ledger import new_operation_id
from clients.tenant import Tenant
from sso import rotation
from sso.caller import Caller
from sso.errors import GatehouseError, Reason, Refused
from sso.model import Application, Key, KeyId
from sso.onboarding import credential_of, plan
from sso.operation import Operation, accepted
from sso.request import standing
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
    if last and not last.finished:
        detail = f"Operation {last.id} rotates '{key}' already. Look at it, or replay it."
        raise Refused(Reason("instance", detail), status=409)
    compromised = reason == "compromised"
    asked = rotation.Rotation(KeyId(current), "compromised" if compromised else "requested")
    request = replace(standing(key, observed.application), rotation=asked)
    first = plan(profile, request, observed, tenant.deployment, now).steps
    return await _open(tenant, accepted(new_operation_id(now), "rotation", request, first, now, caller=caller.name))


async def tick(tenant: Tenant, now: datetime) -> int:
    """Open an operation for every client secret of ours that is due; returns how many.

    One application that fails neither stops the others nor hides behind them.
    """
    opened = 0
    for key, application in await tenant.graph.managed():
        try:
            opened += await _open_if_due(tenant, key, application, now)
        except (GatehouseError, LookupError, ValueError) as error:
            _log.warning("Rotation of %s could not be looked at: %s", key, error)
    return opened


async def _open_if_due(tenant: Tenant, key: Key, application: Application, now: datetime) -> bool:
    profile: Profile = tenant.catalog.load(key.vendor)
    ours = [p for p in application.passwords if rotation.carries_marker(p.display_name, key)]
    if not isinstance(profile, OidcProfile) or not ours:
        return False
    newest = max(ours, key=lambda password: password.starts)
    policy = timedelta(days=profile.oidc.secret.renew_before_days)
    if not rotation.is_due(newest, policy, now):
        return False
    last = await tenant.ledger.newest_of(key, "rotation")
    if last and (not last.finished or (last.state == "failed" and now - last.changed < RETRY_FAILED)):
        return False
    request = replace(standing(key, application), rotation=rotation.Rotation(newest.key_id))
    await _open(tenant, accepted(new_operation_id(now), "rotation", request, (), now))
    return True


async def _open(tenant: Tenant, operation: Operation) -> Operation:
    """Write the operation, then send its message; between the two the sweep takes it up."""
    operation = await tenant.ledger.add_operation(operation)
    await tenant.queues.send(operation.queue, operation.id)
    return operation


def _reason(body: object) -> str:
    """The reason of a request: one line; raises `Refused`."""
    given: Mapping[str, Any] = body if isinstance(body, dict) else {}
    reason = given.get("reason")
    if set(given) != {"reason"} or not isinstance(reason, str) or not 0 < len(reason) <= REASON_LENGTH:
        detail = 'The body must be {"reason": "..."}; the reason \'compromised\' retires the old secret at once.'
        raise Refused(Reason("reason", detail))
    return reason
