"""Resource units and writes of one caller: their cost, the headers, and 429 (graph-contract section 5)."""

from sandbox.graph.errors import GraphError
from sandbox.graph.reports import CREDENTIAL_USE
from sandbox.graph.wire import GraphRequest

# learn.microsoft.com/graph/throttling-limits: what costs more than one unit.
_COST = {
    "applications.application_ListApplication": 2,
    "applications.application_GetApplication": 2,
    "applications.application.GetByAppId": 2,
    "applications.application.GetByUniqueName": 2,
    "users.user_ListUser": 2,
    "users.user_GetUser": 2,
    "groups.ListMembers": 3,
    "servicePrincipals.ListAppRoleAssignments": 2,
    "oauth2PermissionGrants_List": 2,
    "oauth2PermissionGrants_Get": 2,
}
_SMALL_PAGE = 20
_ANNOUNCED = 0.8
"""Above this share the headers tell it."""


def resource_units(operation: str, query: dict[str, str]) -> int:
    """Return what a call costs: `$select` and a small page save one unit each, `$expand` costs one more."""
    top = query.get("$top", "")
    saved = ("$select" in query) + (top.isdecimal() and int(top) < _SMALL_PAGE)
    return max(_COST.get(operation, 1) - saved + ("$expand" in query), 1)


def throttle(request: GraphRequest, operation: str) -> dict[str, str]:
    """Count a call and return its headers, or refuse it with 429; a refused call counts as well."""
    limits, switches = request.tenant.unkind.limits, request.tenant.switches
    cost = resource_units(operation, dict(request.query))
    waits = {"ResourceUnitLimitExceeded": limits.resource_units.take(cost, switches.resource_units)}
    if operation == CREDENTIAL_USE:
        waits["ReportLimitExceeded"] = limits.reports.take(1, switches.report_calls)
    if request.method != "GET":
        waits["WriteLimitExceeded"] = limits.write_units.take(1, switches.write_units)
    share = max(limits.resource_units.share(switches.resource_units), limits.write_units.share(switches.write_units))
    headers = {"x-ms-resource-unit": str(cost)}
    if share > _ANNOUNCED:
        headers["x-ms-throttle-limit-percentage"] = f"{share:.2f}"
    reason = max(waits, key=lambda name: waits[name])
    if not waits[reason]:
        return headers
    if request.passage is not None:
        request.tenant.gate.note(request.passage, "limit", reason=reason)
        request.tenant.gate.permit_after(request.passage, waits[reason])
    raise GraphError(
        429,
        "TooManyRequests",
        "Too many requests.",
        headers={
            **headers,
            "Retry-After": str(waits[reason]),
            "x-ms-throttle-scope": f"Tenant_Application/ReadWrite/{request.caller}/{request.directory.tenant_id}",
            "x-ms-throttle-information": reason,
        },
    )
