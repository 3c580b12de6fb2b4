"""App role assignments, seen from the resource and from the principal (graph-contract section 10)."""

from typing import Any

from sandbox.directory import GraphObject
from sandbox.graph.errors import GraphError, bad_request, not_found
from sandbox.graph.pages import entity, page
from sandbox.graph.schemas import check_properties
from sandbox.graph.store import Kind
from sandbox.graph.wire import NO_CONTENT, GraphAnswer, GraphRequest, Handler

DEFAULT_ACCESS = "00000000-0000-0000-0000-000000000000"
"""The role of applications that declare none."""

PRINCIPALS: tuple[tuple[Kind, str], ...] = (
    ("users", "User"),
    ("groups", "Group"),
    ("service_principals", "ServicePrincipal"),
)


PATH_KINDS: dict[str, Kind] = {
    "servicePrincipal-id": "service_principals",
    "user-id": "users",
    "group-id": "groups",
}


def _side(request: GraphRequest) -> tuple[str, str]:
    """Return the property the path's object stands in, and its object ID; it exists."""
    name = next(name for name in PATH_KINDS if name in request.parameters)
    wanted = request.parameters[name]
    found = request.store.find(PATH_KINDS[name], wanted)
    if found is None and name == "user-id":
        found = request.store.find_by("users", "userPrincipalName", wanted)
    if found is None:
        exists = request.method == "POST" and request.store.primary.find(PATH_KINDS[name], wanted)
        # Both have been seen for an object that has not replicated (graph-contract section 4).
        if exists and request.tenant.unkind.draws.hits(0.5, "reference", request.key):
            raise bad_request("Not a valid reference update.")
        raise not_found(wanted)
    return ("resourceId" if "/appRoleAssignedTo" in request.path else "principalId"), found["id"]


async def list_side(request: GraphRequest) -> GraphAnswer:
    """List what is assigned to a resource, or what a principal is assigned to."""
    side, object_id = _side(request)
    if side == "principalId":
        rows = request.store.assignments_of(object_id)
    else:
        rows = [row for row in request.store.rows("assignments") if row[side] == object_id]
    return page(request, rows, "appRoleAssignment", "appRoleAssignments")


async def read(request: GraphRequest) -> GraphAnswer:
    """Return one assignment."""
    return entity(request, _get(request), "appRoleAssignment", "appRoleAssignments")


async def delete(request: GraphRequest) -> GraphAnswer:
    """Take an assignment away."""
    request.store.remove("assignments", _get(request)["id"])
    return NO_CONTENT


async def create(request: GraphRequest) -> GraphAnswer:
    """Assign a principal to a role of a resource."""
    side, object_id = _side(request)
    sent = request.json_object()
    check_properties("appRoleAssignment", sent)
    if request.text(side).lower() != object_id:
        raise bad_request(f"The {side} in the body does not match the object in the path.")
    resource_id = request.text("resourceId").lower()
    principal, principal_type = _principal(request, request.text("principalId").lower())
    resource = _replicated(request, "service_principals", resource_id)
    role_id = request.text("appRoleId").lower()
    # The roles are those that the replica has: a new one is not found for a while.
    _check_role(request.store.seen("service_principals", resource_id) or resource, role_id, principal_type)
    _check_new(request, resource, principal, role_id)
    _check_room(request, principal)
    made: dict[str, Any] = {
        "id": request.directory.opaque_id("assignment", principal["id"], resource["id"], role_id),
        "deletedDateTime": None,
        "appRoleId": role_id,
        "createdDateTime": request.now,
        "principalDisplayName": principal["displayName"],
        "principalId": principal["id"],
        "principalType": principal_type,
        "resourceDisplayName": resource["displayName"],
        "resourceId": resource["id"],
    }
    request.store.put("assignments", made)
    return entity(request, made, "appRoleAssignment", "appRoleAssignments", status=201)


def _get(request: GraphRequest) -> GraphObject:
    side, object_id = _side(request)
    found = request.store.get("assignments", request.parameters["appRoleAssignment-id"])
    if found[side] != object_id:
        raise not_found(found["id"])
    return found


def _principal(request: GraphRequest, object_id: str) -> tuple[GraphObject, str]:
    for kind, principal_type in PRINCIPALS:
        if request.store.primary.find(kind, object_id):
            found = _replicated(request, kind, object_id)
            if principal_type == "Group" and not found["securityEnabled"]:
                raise bad_request("Only security-enabled groups can be assigned to an application.")
            return found, principal_type
    raise not_found(object_id)


def _replicated(request: GraphRequest, kind: Kind, object_id: str) -> GraphObject:
    """Return an object that the body names; one that the replica does not know yet is no valid reference."""
    found = request.store.find(kind, object_id)
    if found is None and request.store.primary.find(kind, object_id) is None:
        raise not_found(object_id)
    if found is None:
        raise bad_request("Not a valid reference update.")
    return found


def _check_room(request: GraphRequest, principal: GraphObject) -> None:
    held = request.store.primary.assignments_of(principal["id"])
    if len(held) >= request.tenant.switches.most_assignments:
        message = "The number of app role assignments of this principal has reached its limit."
        raise GraphError(403, "Directory_QuotaExceeded", message)


def _check_role(resource: GraphObject, role_id: str, principal_type: str) -> None:
    member = "Application" if principal_type == "ServicePrincipal" else "User"
    offered = {
        role["id"]
        for role in resource["appRoles"]
        if role.get("isEnabled") and member in role.get("allowedMemberTypes", ())
    }
    # Default access is for resources without roles of their own.
    if role_id not in (offered or {DEFAULT_ACCESS}):
        raise bad_request(
            f"Permission being assigned was not found on application '{resource['appId']}'",
        )


def _check_new(request: GraphRequest, resource: GraphObject, principal: GraphObject, role_id: str) -> None:
    wanted = (principal["id"], resource["id"], role_id)
    if all(
        (row["principalId"], row["resourceId"], row["appRoleId"]) != wanted
        for row in request.store.assignments_of(principal["id"])
    ):
        return
    # Which of the two texts comes is not known to depend on anything but, perhaps, the role (graph-contract 3).
    is_unkind = request.tenant.switches.lag != "none"
    if role_id == DEFAULT_ACCESS or (is_unkind and request.tenant.unkind.draws.hits(0.5, "duplicate", *wanted)):
        raise GraphError(400, "Request_MultipleObjectsWithSameKeyValue", "EntitlementGrant entry already exists.")
    raise bad_request("Permission being assigned already exists on the object")


HANDLERS: dict[str, Handler] = {
    f"{side}.{verb}{name}": handler
    for side, names in (
        ("servicePrincipals", ("AppRoleAssignedTo", "AppRoleAssignments")),
        ("users", ("AppRoleAssignments",)),
        ("groups", ("AppRoleAssignments",)),
    )
    for name in names
    for verb, handler in (("List", list_side), ("Get", read), ("Create", create), ("Delete", delete))
}
