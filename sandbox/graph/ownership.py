"""What Application.ReadWrite.OwnedBy lets its holder change: what it owns, and no more (graph-contract section 2)."""

from sandbox.directory import GraphObject
from sandbox.graph.errors import GraphError, denied
from sandbox.graph.operations import Operation
from sandbox.graph.wire import GraphRequest

OWNED = "Application.ReadWrite.OwnedBy"


def has_only_owned(request: GraphRequest) -> bool:
    """Tell whether the caller may change applications only as their owner."""
    roles = set(request.claims.get("roles", ()))
    return OWNED in roles and not roles & {"Application.ReadWrite.All", "Directory.ReadWrite.All"}


def check_ownership(request: GraphRequest, operation: Operation) -> None:
    """Refuse a write on what the caller does not own, where owning it is all its permission is about."""
    if request.method == "GET" or OWNED not in operation.any_of or not has_only_owned(request):
        return
    application, service_principal = _named(request)
    if service_principal is not None:
        # A service principal is changed by the owner of both (graph-contract section 2).
        backing = request.store.primary.find_by("applications", "appId", service_principal["appId"])
        if backing is None or not _owns(request, backing) or not _owns(request, service_principal):
            raise denied()
    elif application is not None and not _owns(request, application):
        raise denied()


def not_in_local_tenant() -> GraphError:
    """Return the refusal of a service principal whose application is not here, or not here yet."""
    return GraphError(
        403,
        "Authorization_RequestDenied",
        "When using this permission, the backing application of the service principal being created must in the local "
        "tenant",
    )


def _named(request: GraphRequest) -> tuple[GraphObject | None, GraphObject | None]:
    store, given = request.store.primary, request.parameters
    if "application-id" in given:
        return store.find("applications", given["application-id"]), None
    if "servicePrincipal-id" in given:
        return None, store.find("service_principals", given["servicePrincipal-id"])
    if "uniqueName" in given:
        return store.find_by("applications", "uniqueName", given["uniqueName"]), None
    if "appId" in given and request.path.startswith("/applications"):
        return store.find_by("applications", "appId", given["appId"]), None
    if "appId" in given:
        return None, store.find_by("service_principals", "appId", given["appId"])
    return None, None


def _owns(request: GraphRequest, found: GraphObject) -> bool:
    return bool(set(request.directory.owners.get(found["id"], ())) & set(request.caller_object_ids()))
