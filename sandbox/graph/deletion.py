"""Soft deletion: an object waits 30 days among the deleted items, with what hung on it."""

from sandbox.directory import GraphObject
from sandbox.graph.wire import GraphRequest


def delete_application(request: GraphRequest, application: GraphObject) -> None:
    """Put an application aside, and its service principal with it."""
    service_principal = request.store.primary.find_by("service_principals", "appId", application["appId"])
    _set_aside(request, "applications", "application", application)
    if service_principal is not None:
        delete_service_principal(request, service_principal)


def delete_service_principal(request: GraphRequest, service_principal: GraphObject) -> None:
    """Put a service principal aside, and the assignments and grants that name it."""
    object_id = service_principal["id"]
    _set_aside(request, "service_principals", "servicePrincipal", service_principal)
    store = request.store
    assignments = [row for row in store.rows("assignments") if object_id in (row["resourceId"], row["principalId"])]
    grants = [row for row in store.rows("grants") if object_id in (row["resourceId"], row["clientId"])]
    for assignment in assignments:
        store.remove("assignments", assignment["id"])
    for grant in grants:
        store.remove("grants", grant["id"])
    request.directory.deleted_with[object_id] = (assignments, grants)


def _set_aside(request: GraphRequest, kind: str, type_name: str, found: GraphObject) -> None:
    request.store.remove("applications" if kind == "applications" else "service_principals", found["id"])
    request.store.put(
        "deleted", {"@odata.type": f"#microsoft.graph.{type_name}", **found, "deletedDateTime": request.now}
    )
