"""The tenant's default app management policy, as far as client secrets go (graph-contract section 8)."""

from datetime import datetime, timedelta
from typing import Any

from sandbox.graph.errors import bad_request
from sandbox.graph.wire import GraphAnswer, GraphRequest, Handler
from sandbox.unkind.switches import Switches


def check_policy(switches: Switches, starts: datetime, ends: datetime) -> None:
    """Refuse a client secret that the policy forbids, or forbids to live so long."""
    if switches.passwords_forbidden:
        raise bad_request(
            "Credential type not allowed as per assigned policy.", "CredentialTypeNotAllowedAsPerAppPolicy"
        )
    # A second's grace: what is sent is cut to whole seconds.
    if switches.password_days and ends - starts > timedelta(days=switches.password_days, seconds=1):
        raise bad_request(
            "Credential lifetime exceeds the max value allowed as per assigned policy.",
            "CredentialInvalidLifetimeAsPerAppPolicy",
        )


async def read(request: GraphRequest) -> GraphAnswer:
    """Return the policy."""
    switches = request.tenant.switches
    restrictions = []
    if switches.passwords_forbidden:
        restrictions.append(_restriction("passwordAddition", None))
    if switches.password_days:
        restrictions.append(_restriction("passwordLifetime", f"P{switches.password_days}D"))
    none: dict[str, Any] = {"passwordCredentials": [], "keyCredentials": []}
    return GraphAnswer(
        200,
        {
            "@odata.context": f"{request.root}/$metadata#policies/defaultAppManagementPolicy/$entity",
            "id": "00000000-0000-0000-0000-000000000000",
            "displayName": "Default app management tenant policy",
            "description": "Default tenant policy that enforces app management restrictions.",
            "isEnabled": bool(restrictions),
            "applicationRestrictions": {**none, "passwordCredentials": restrictions},
            "servicePrincipalRestrictions": none,
        },
    )


def _restriction(kind: str, longest: str | None) -> dict[str, Any]:
    return {
        "restrictionType": kind,
        "state": "enabled",
        "maxLifetime": longest,
        "restrictForAppsCreatedAfterDateTime": "2019-01-01T10:37:00Z",
        "excludeActors": None,
    }


HANDLERS: dict[str, Handler] = {"policies.GetDefaultAppManagementPolicy": read}
