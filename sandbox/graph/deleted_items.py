"""Graph's deletedItems: 30 days in which a deletion can be undone (graph-contract section 7)."""

from sandbox.directory import GraphObject
from sandbox.graph.errors import GraphError, denied
from sandbox.graph.pages import entity, page
from sandbox.graph.service_principals import shown
from sandbox.graph.wire import NO_CONTENT, GraphAnswer, GraphRequest, Handler

TYPES = {"graph.application": "application", "graph.servicePrincipal": "servicePrincipal"}


async def list_deleted(request: GraphRequest) -> GraphAnswer:
    """List the deleted objects of one type."""
    type_name = next(name for cast, name in TYPES.items() if request.path.endswith(cast))
    rows = [row for row in request.store.rows("deleted") if _type(row) == type_name]
    return page(request, rows, type_name, "directoryObjects", view=_shown)


async def read(request: GraphRequest) -> GraphAnswer:
    """Return one deleted object."""
    found = _get(request)
    return entity(request, _shown(found), _type(found), "directoryObjects")


async def restore(request: GraphRequest) -> GraphAnswer:
    """Bring an object back; an application comes without its service principal, which is restored by itself."""
    if not request.tenant.switches.identity_may_restore:
        raise denied()
    found = _get(request)
    restored = {name: value for name, value in found.items() if name != "@odata.type"} | {"deletedDateTime": None}
    store = request.store
    if _type(found) == "application":
        _refuse_taken_names(request, restored)
        store.put("applications", restored)
    else:
        store.put("service_principals", restored)
        assignments, grants = request.directory.deleted_with.pop(found["id"], ([], []))
        for assignment in assignments:
            store.put("assignments", assignment)
        for grant in grants:
            store.put("grants", grant)
    store.remove("deleted", found["id"])
    return entity(request, {"@odata.type": found["@odata.type"], **_shown(restored)}, _type(found), "directoryObjects")


async def purge(request: GraphRequest) -> GraphAnswer:
    """Delete an object for good."""
    found = _get(request)
    request.store.remove("deleted", found["id"])
    request.directory.deleted_with.pop(found["id"], None)
    return NO_CONTENT


def _get(request: GraphRequest) -> GraphObject:
    return request.store.get("deleted", request.parameters["directoryObject-id"])


def _type(found: GraphObject) -> str:
    return str(found["@odata.type"]).removeprefix("#microsoft.graph.")


def _shown(found: GraphObject) -> GraphObject:
    return shown(found) if "servicePrincipalNames" in found else found


def _refuse_taken_names(request: GraphRequest, restored: GraphObject) -> None:
    name, uris = restored["uniqueName"], set(restored["identifierUris"])
    for other in request.store.rows("applications"):
        if (name and other["uniqueName"] == name) or uris & set(other["identifierUris"]):
            message = "One or more properties of the deleted object conflict with another object."
            raise GraphError(409, "Request_MultipleObjectsWithSameKeyValue", message)


HANDLERS: dict[str, Handler] = {
    "directory.deletedItems.AsApplication": list_deleted,
    "directory.deletedItems.AsServicePrincipal": list_deleted,
    "directory.GetDeletedItems": read,
    "directory.deletedItems.restore": restore,
    "directory.DeleteDeletedItems": purge,
}
