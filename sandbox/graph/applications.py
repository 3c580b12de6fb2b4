"""Graph's applications: list, read, create, change, upsert, delete."""

from copy import deepcopy
from typing import Any

from sandbox.blank_objects import blank_application
from sandbox.directory import GraphObject
from sandbox.graph.application_rules import check_application, check_sent
from sandbox.graph.deletion import delete_application
from sandbox.graph.errors import bad_request, denied, not_found
from sandbox.graph.ownership import has_only_owned
from sandbox.graph.pages import entity, page
from sandbox.graph.schemas import merged
from sandbox.graph.synchronisation import synchronise_later
from sandbox.graph.wire import NO_CONTENT, GraphAnswer, GraphRequest, Handler

ALTERNATE_KEYS = ("appId", "uniqueName")
COMPLEX = ("api", "info", "publicClient", "spa", "web")
"""Complex properties that are never absent: null brings their defaults back."""


def find_application(request: GraphRequest) -> GraphObject | None:
    """Find the application the path names, by object ID or alternate key."""
    if "application-id" in request.parameters:
        return request.store.find("applications", request.parameters["application-id"])
    name = next(name for name in ALTERNATE_KEYS if name in request.parameters)
    return request.store.find_by("applications", name, request.parameters[name])


def get_application(request: GraphRequest) -> GraphObject:
    """Find the application the path names, or refuse with 404."""
    found = find_application(request)
    if found is None:
        raise not_found(next(iter(request.parameters.values())))
    return found


async def list_all(request: GraphRequest) -> GraphAnswer:
    """List applications."""
    return page(request, request.store.rows("applications"), "application", "applications")


async def read(request: GraphRequest) -> GraphAnswer:
    """Return one application."""
    return entity(request, get_application(request), "application", "applications")


async def create(request: GraphRequest) -> GraphAnswer:
    """Make an application; the caller becomes its owner."""
    return _create(request, request.json_object())


async def change(request: GraphRequest) -> GraphAnswer:
    """Change an application, or make it where the request is an upsert by unique name."""
    sent = request.json_object()
    found = find_application(request)
    if found is None and request.creates_if_missing and "uniqueName" in request.parameters:
        # An upsert is decided where names are unique: in the write store.
        found = request.store.primary.find_by("applications", "uniqueName", request.parameters["uniqueName"])
        if found is None:
            return _create(request, {**sent, "uniqueName": request.parameters["uniqueName"]})
    if found is None:
        raise not_found(next(iter(request.parameters.values())))
    check_sent(sent)
    changed = _changed(found, sent)
    check_application(request, changed, found)
    request.store.put("applications", changed)
    synchronise_later(request.tenant, changed, frozenset(sent))
    return NO_CONTENT


async def delete(request: GraphRequest) -> GraphAnswer:
    """Soft-delete an application and its service principal."""
    delete_application(request, get_application(request))
    return NO_CONTENT


async def list_owners(request: GraphRequest) -> GraphAnswer:
    """List the service principals that own an application."""
    return owners_of(request, get_application(request)["id"])


def owners_of(request: GraphRequest, object_id: str) -> GraphAnswer:
    """Return the page of an object's owners."""
    owners = [
        {"@odata.type": "#microsoft.graph.servicePrincipal", **owner}
        for owner_id in request.directory.owners.get(object_id, [])
        if (owner := request.store.find("service_principals", owner_id))
    ]
    return page(request, owners, "servicePrincipal", "directoryObjects")


def _create(request: GraphRequest, sent: dict[str, Any]) -> GraphAnswer:
    check_sent(sent)
    if has_only_owned(request) and (sent.get("api") or {}).get("acceptMappedClaims"):
        # graph-contract section 2, third limit: refused in the body of a create alone.
        raise denied()
    display_name = sent.get("displayName")
    if not isinstance(display_name, str) or not display_name:
        raise bad_request("A value is required for property 'displayName' of resource 'Application'.")
    directory = request.directory
    key = sent.get("uniqueName") or display_name
    blank = blank_application(
        directory.next_id("application", key),
        directory.next_id("clientId", key),
        display_name,
        request.now,
        request.caller,
    )
    made = _changed(blank, sent)
    check_application(request, made, None)
    request.store.put("applications", made)
    directory.owners[made["id"]] = request.caller_object_ids()
    return entity(request, made, "application", "applications", status=201)


def _changed(old: GraphObject, sent: dict[str, Any]) -> GraphObject:
    wanted = {name: value for name, value in deepcopy(sent).items() if not name.startswith("@odata.")}
    changed: GraphObject = merged(old, wanted)
    blank = blank_application(old["id"], old["appId"], old["displayName"], old["createdDateTime"], "")
    for name in COMPLEX:
        changed[name] = blank[name] if changed[name] is None else changed[name]
    for role in changed["appRoles"]:
        role.setdefault("isEnabled", True)
        role.setdefault("value", None)
        role["origin"] = "Application"
    sent_web = wanted.get("web") or {}
    if "redirectUris" in sent_web:
        indices = {setting["uri"]: setting.get("index") for setting in old["web"]["redirectUriSettings"]}
        changed["web"]["redirectUriSettings"] = [
            {"uri": uri, "index": indices.get(uri)} for uri in changed["web"]["redirectUris"]
        ]
    elif "redirectUriSettings" in sent_web:
        settings = changed["web"]["redirectUriSettings"]
        if not all(setting.get("uri") for setting in settings):
            raise bad_request("Invalid value specified for property 'web.redirectUriSettings': each needs a uri.")
        ordered = sorted(settings, key=lambda each: (each.get("index") is None, each.get("index") or 0))
        changed["web"]["redirectUris"] = [setting["uri"] for setting in ordered]
    return changed


HANDLERS: dict[str, Handler] = {
    "applications.application_ListApplication": list_all,
    "applications.application_CreateApplication": create,
    "applications.application_GetApplication": read,
    "applications.application_UpdateApplication": change,
    "applications.application_DeleteApplication": delete,
    "applications.application.GetByAppId": read,
    "applications.application.UpdateByAppId": change,
    "applications.application.DeleteByAppId": delete,
    "applications.application.GetByUniqueName": read,
    "applications.application.UpdateByUniqueName": change,
    "applications.application.DeleteByUniqueName": delete,
    "applications.ListOwners": list_owners,
}
