"""oauth2PermissionGrants: what everyone of the tenant consents to (graph-contract section 10a)."""

from sandbox.graph.errors import GraphError, bad_request, not_found
from sandbox.graph.pages import entity, page
from sandbox.graph.schemas import check_properties
from sandbox.graph.wire import NO_CONTENT, GraphAnswer, GraphRequest, Handler

CONSENT_TYPES = ("AllPrincipals", "Principal")


async def list_all(request: GraphRequest) -> GraphAnswer:
    """List grants."""
    return page(request, request.store.rows("grants"), "oAuth2PermissionGrant", "oauth2PermissionGrants")


async def read(request: GraphRequest) -> GraphAnswer:
    """Return one grant."""
    found = request.store.get("grants", request.parameters["oAuth2PermissionGrant-id"])
    return entity(request, found, "oAuth2PermissionGrant", "oauth2PermissionGrants")


async def create(request: GraphRequest) -> GraphAnswer:
    """Grant scopes of a resource to a client; the same pair again is refused."""
    sent = request.json_object()
    check_properties("oAuth2PermissionGrant", sent)
    client_id, resource_id = request.text("clientId"), request.text("resourceId")
    consent_type, principal_id = request.text("consentType"), sent.get("principalId")
    if consent_type not in CONSENT_TYPES or (consent_type == "Principal") != bool(principal_id):
        raise bad_request("Invalid value specified for property 'consentType' of resource 'OAuth2PermissionGrant'.")
    for object_id in (client_id, resource_id):
        if request.store.find("service_principals", object_id) is None:
            raise not_found(object_id)
    wanted = (client_id, resource_id, principal_id)
    if any((row["clientId"], row["resourceId"], row["principalId"]) == wanted for row in request.store.rows("grants")):
        raise GraphError(409, "Request_MultipleObjectsWithSameKeyValue", "Permission entry already exists.")
    made = {
        "id": request.directory.opaque_id("grant", client_id, resource_id, principal_id or ""),
        "clientId": client_id,
        "consentType": consent_type,
        "principalId": principal_id,
        "resourceId": resource_id,
        "scope": sent.get("scope"),
    }
    request.store.put("grants", made)
    return entity(request, made, "oAuth2PermissionGrant", "oauth2PermissionGrants", status=201)


async def change(request: GraphRequest) -> GraphAnswer:
    """Replace the whole scope string."""
    sent = request.json_object()
    check_properties("oAuth2PermissionGrant", sent)
    if set(sent) - {"scope"}:
        raise bad_request("Only the scope of a permission grant can be updated.")
    found = request.store.get("grants", request.parameters["oAuth2PermissionGrant-id"])
    request.store.put("grants", {**found, **sent})
    return NO_CONTENT


async def delete(request: GraphRequest) -> GraphAnswer:
    """Revoke a grant."""
    found = request.store.get("grants", request.parameters["oAuth2PermissionGrant-id"])
    request.store.remove("grants", found["id"])
    return NO_CONTENT


HANDLERS: dict[str, Handler] = {
    "oauth2PermissionGrants_List": list_all,
    "oauth2PermissionGrants_Create": create,
    "oauth2PermissionGrants_Get": read,
    "oauth2PermissionGrants_Update": change,
    "oauth2PermissionGrants_Delete": delete,
}
