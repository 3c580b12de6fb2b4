"""App management policies: the tenant's default, those of single objects, and what they refuse (graph-contract 8).

An administrator's hand puts them: `PUT /objects/app_management_policies/default`, or under the object ID of the
application or service principal that one is assigned to. Without a default of its own the tenant has what the switches
say. An object with an enabled policy of its own inherits nothing from the default
(learn.microsoft.com/graph/api/resources/applicationauthenticationmethodpolicy).
"""

import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Literal

from sandbox.clock import parse_time
from sandbox.directory import GraphObject
from sandbox.graph.applications import get_application
from sandbox.graph.errors import GraphError, bad_request
from sandbox.graph.pages import page
from sandbox.graph.wire import GraphAnswer, GraphRequest, Handler
from sandbox.unkind.switches import Switches

Credentials = Literal["passwordCredentials", "keyCredentials"]

DEFAULT = "default"
_NONE: dict[str, list[Any]] = {"passwordCredentials": [], "keyCredentials": []}
_DURATION = re.compile(
    r"P(?:(?P<weeks>\d+)W)?(?:(?P<days>\d+)D)?(?:T(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+)S)?)?"
)
_GRACE = timedelta(seconds=1)  # what is sent is cut to whole seconds


def check_secret(request: GraphRequest, application: GraphObject, starts: datetime, ends: datetime) -> None:
    """Refuse a client secret that a policy forbids, or forbids to live so long."""
    found = _enforced(request, application, "passwordCredentials", _of_application(request, application))
    if any(each["restrictionType"] == "passwordAddition" for each in found):
        raise bad_request(
            "Credential type not allowed as per assigned policy.", "CredentialTypeNotAllowedAsPerAppPolicy"
        )
    _check_life(found, "passwordLifetime", ends - starts)


def check_certificate(request: GraphRequest, service_principal: GraphObject, starts: datetime, ends: datetime) -> None:
    """Refuse a signing certificate that a policy forbids to live so long.

    Microsoft's pages say of single-tenant applications both that the application's policy counts and that the default
    for service principals is for all of them; here both are enforced.
    """
    application = request.directory.application_by_client_id(service_principal["appId"])
    if application is None:
        return
    for policy in (_of_application(request, application), _of_service_principal(request, service_principal)):
        found = _enforced(request, application, "keyCredentials", policy)
        _check_life(found, "asymmetricKeyLifetime", ends - starts)


async def read_default(request: GraphRequest) -> GraphAnswer:
    """Return the tenant's default policy."""
    context = f"{request.root}/$metadata#policies/defaultAppManagementPolicy/$entity"
    return GraphAnswer(200, {"@odata.context": context, **_default(request)})


async def list_assigned(request: GraphRequest) -> GraphAnswer:
    """List the policies that are assigned to an application: one, or none."""
    object_id = get_application(request)["id"]
    assigned = request.directory.app_management_policies.get(object_id)
    rows = [{**assigned, "id": request.directory.fixed_id("appManagementPolicy", object_id)}] if assigned else []
    return page(request, rows, "appManagementPolicy", "policies/appManagementPolicies")


def _default(request: GraphRequest) -> GraphObject:
    own = request.directory.app_management_policies.get(DEFAULT)
    return {
        "id": "00000000-0000-0000-0000-000000000000",
        "displayName": "Default app management tenant policy",
        "description": "Default tenant policy that enforces app management restrictions.",
        **({name: value for name, value in own.items() if name != "id"} if own else _switched(request.tenant.switches)),
    }


def _switched(switches: Switches) -> dict[str, Any]:
    restrictions = []
    if switches.passwords_forbidden:
        restrictions.append(_restriction("passwordAddition", None))
    if switches.password_days:
        restrictions.append(_restriction("passwordLifetime", f"P{switches.password_days}D"))
    return {
        "isEnabled": bool(restrictions),
        "applicationRestrictions": {**_NONE, "passwordCredentials": restrictions},
        "servicePrincipalRestrictions": _NONE,
    }


def _restriction(kind: str, longest: str | None) -> dict[str, Any]:
    return {
        "restrictionType": kind,
        "state": "enabled",
        "maxLifetime": longest,
        "restrictForAppsCreatedAfterDateTime": "2019-01-01T10:37:00Z",
        "excludeActors": None,
    }


def _of_application(request: GraphRequest, application: GraphObject) -> dict[str, Any]:
    return _restrictions(request, application["id"], "applicationRestrictions")


def _of_service_principal(request: GraphRequest, service_principal: GraphObject) -> dict[str, Any]:
    return _restrictions(request, service_principal["id"], "servicePrincipalRestrictions")


def _restrictions(request: GraphRequest, object_id: str, name: str) -> dict[str, Any]:
    """The restrictions that count for an object: those of its own policy, else the tenant's default."""
    own = request.directory.app_management_policies.get(object_id)
    if own and own.get("isEnabled"):
        return own.get("restrictions") or {}
    default = _default(request)
    return (default.get(name) or {}) if default.get("isEnabled") else {}


def _enforced(
    request: GraphRequest, application: GraphObject, credentials: Credentials, restrictions: dict[str, Any]
) -> list[dict[str, Any]]:
    """The restrictions that this caller meets on this application."""
    created = parse_time(application["createdDateTime"])
    return [
        each
        for each in restrictions.get(credentials) or []
        if each.get("state") == "enabled"
        and (
            not each.get("restrictForAppsCreatedAfterDateTime")
            or created > parse_time(each["restrictForAppsCreatedAfterDateTime"])
        )
        and not _is_exempt(request, each.get("excludeActors"))
    ]


def _is_exempt(request: GraphRequest, actors: dict[str, Any] | None) -> bool:
    """Whether the caller carries one of the custom security attributes that exempt."""
    caller = next((request.directory.service_principals.get(each) for each in request.caller_object_ids()), None) or {}
    held = {
        f"{name}_{attribute}": value
        for name, attributes in (caller.get("customSecurityAttributes") or {}).items()
        for attribute, value in attributes.items()
    }
    wanted = (actors or {}).get("customSecurityAttributes") or []
    return any(held.get(each["id"]) == each["value"] for each in wanted)


def _check_life(restrictions: Iterable[dict[str, Any]], kind: str, life: timedelta) -> None:
    longest = [_duration(each["maxLifetime"]) for each in restrictions if each["restrictionType"] == kind]
    if any(life > most + _GRACE for most in longest):
        raise bad_request(
            "Credential lifetime exceeds the max value allowed as per assigned policy.",
            "CredentialInvalidLifetimeAsPerAppPolicy",
        )


def _duration(text: str) -> timedelta:
    match = _DURATION.fullmatch(text)
    if match is None:
        raise GraphError(500, "Service_InternalServerError", f"The policy's maxLifetime '{text}' cannot be read.")
    return timedelta(**{part: int(value) for part, value in match.groupdict(default="0").items()})


HANDLERS: dict[str, Handler] = {
    "policies.GetDefaultAppManagementPolicy": read_default,
    "applications.ListAppManagementPolicies": list_assigned,
}
