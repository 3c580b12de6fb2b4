"""Rotation: find what is due, and open the operation that renews it; carrying it out is an onboarding's way.

    timer find_due                        every application's newest secret of ours, page by page -> what is due
    POST /applications/.../rotations      one secret now; `compromised` retires the old one at once
    queue rotations                       observe -> plan -> mint, prove, promote, hand over -> wait -> retire

A timer decides nothing: one operation per credential does, from what is there when its message comes.
"""

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from clients.ledger import new_operation_id
from clients.tenant import Tenant
from sso import rotation
from sso.caller import Caller
from sso.errors import GatehouseError, Reason, Refused
from sso.model import Application, Key, KeyId, owner_from_tags, parameters_from_tags
from sso.onboarding import credential_of, plan
from sso.operation import Operation, planned
from sso.request import Onboarding, to_json
from vendors.profile import OidcProfile, Profile

_log = logging.getLogger(__name__)

REASON_LENGTH = 200


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
    if unfinished := await _unfinished(tenant, key):
        detail = f"Operation {unfinished.id} rotates '{key}' already. Look at it, or replay it."
        raise Refused(Reason("instance", detail), status=409)
    compromised = reason == "compromised"
    asked = rotation.Rotation(KeyId(current), "compromised" if compromised else "requested")
    request = _request(key, observed.application, asked)
    first = plan(profile, request, observed, tenant.deployment, now).steps
    return await _open(tenant, request, now, caller=caller.name, steps=first)


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
    if not rotation.is_due(newest, policy, now) or await _unfinished(tenant, key):
        return False
    await _open(tenant, _request(key, application, rotation.Rotation(newest.key_id)), now)
    return True


async def _unfinished(tenant: Tenant, key: Key) -> Operation | None:
    found = await tenant.ledger.unfinished_of(key)
    return next((operation for operation in found if operation.kind == "rotation"), None)


def _request(key: Key, application: Application, asked: rotation.Rotation) -> Onboarding:
    owner = owner_from_tags(application.tags)
    if owner is None:
        raise Refused(
            Reason("tenant", f"The application of '{key}' names no owner in its tags. Repeat its onboarding.")
        )
    return Onboarding(key=key, parameters=parameters_from_tags(application.tags), owner=owner, rotation=asked)


async def _open(
    tenant: Tenant, request: Onboarding, now: datetime, *, caller: str | None = None, steps: tuple[Any, ...] = ()
) -> Operation:
    operation = Operation(
        id=new_operation_id(now),
        kind="rotation",
        key=request.key,
        request=to_json(request),
        state="accepted",
        created=now,
        changed=now,
        not_before=now,
        caller=caller,
    )
    operation = await tenant.ledger.add_operation(planned(operation, steps, now))
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
