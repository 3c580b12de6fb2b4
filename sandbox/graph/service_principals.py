"""Graph's servicePrincipals: list, read, create, change, upsert, delete."""

from base64 import b64encode
from copy import deepcopy
from typing import Any

from sandbox.blank_objects import blank_service_principal
from sandbox.clock import parse_time
from sandbox.directory import GraphObject
from sandbox.graph.application_rules import check_texts
from sandbox.graph.applications import owners_of
from sandbox.graph.deletion import delete_service_principal
from sandbox.graph.errors import GraphError, bad_request, not_found
from sandbox.graph.mirror import mirror_application
from sandbox.graph.ownership import has_only_owned, not_in_local_tenant
from sandbox.graph.pages import entity, page
from sandbox.graph.schemas import check_properties, merged
from sandbox.graph.wire import NO_CONTENT, GraphAnswer, GraphRequest, Handler

READ_ONLY = frozenset(
    {
        "id",
        "appDescription",
        "appDisplayName",
        "applicationTemplateId",
        "appOwnerOrganizationId",
        "createdByAppId",
        "deletedDateTime",
        "disabledByMicrosoftStatus",
        "oauth2PermissionScopes",
        "servicePrincipalType",
        "signInAudience",
        "verifiedPublisher",
    }
)
SIGN_ON_MODES = frozenset({None, "saml", "oidc", "password", "notSupported"})
MOST_NOTIFICATION_ADDRESSES = 5


def find_service_principal(request: GraphRequest) -> GraphObject | None:
    """Find the service principal the path names, by object ID or client ID."""
    if "servicePrincipal-id" in request.parameters:
        return request.store.find("service_principals", request.parameters["servicePrincipal-id"])
    return request.store.find_by("service_principals", "appId", request.parameters["appId"])


def get_service_principal(request: GraphRequest) -> GraphObject:
    """Find the service principal the path names, or refuse with 404."""
    found = find_service_principal(request)
    if found is None:
        raise not_found(next(iter(request.parameters.values())))
    return found


def shown(found: GraphObject) -> GraphObject:
    """Return a service principal as others see it: without the bytes of its certificates."""
    return {**found, "keyCredentials": [{**key, "key": None} for key in found["keyCredentials"]]}


async def list_all(request: GraphRequest) -> GraphAnswer:
    """List service principals."""
    rows = request.store.rows("service_principals")
    return page(request, rows, "servicePrincipal", "servicePrincipals", view=shown)


async def read(request: GraphRequest) -> GraphAnswer:
    """Return one service principal; certificates in full only where `keyCredentials` is selected."""
    found = get_service_principal(request)
    if "keyCredentials" not in request.query.get("$select", "").split(","):
        found = shown(found)
    return entity(request, found, "servicePrincipal", "servicePrincipals")


async def create(request: GraphRequest) -> GraphAnswer:
    """Make the service principal of an application of this tenant."""
    sent = request.json_object()
    return _create(request, request.text("appId"), {name: value for name, value in sent.items() if name != "appId"})


async def change(request: GraphRequest) -> GraphAnswer:
    """Change a service principal, or make it where the request is an upsert by client ID."""
    sent = request.json_object()
    found = find_service_principal(request)
    if found is None and request.creates_if_missing and "appId" in request.parameters:
        found = request.store.primary.find_by("service_principals", "appId", request.parameters["appId"])
        if found is None:
            return _create(request, request.parameters["appId"], sent)
    if found is None:
        raise not_found(next(iter(request.parameters.values())))
    _check_sent(sent)
    request.store.put("service_principals", _changed(request, found, sent))
    return NO_CONTENT


async def delete(request: GraphRequest) -> GraphAnswer:
    """Soft-delete a service principal; its application stays."""
    delete_service_principal(request, get_service_principal(request))
    return NO_CONTENT


async def list_owners(request: GraphRequest) -> GraphAnswer:
    """List the service principals that own a service principal."""
    return owners_of(request, get_service_principal(request)["id"])


def _create(request: GraphRequest, client_id: str, sent: dict[str, Any]) -> GraphAnswer:
    _check_sent(sent)
    if request.store.primary.find_by("service_principals", "appId", client_id) is not None:
        message = (
            "The service principal cannot be created, updated, or restored because the service principal name "
            f"{client_id} is already in use."
        )
        details = [{"code": "ObjectConflict", "message": message, "target": "servicePrincipalNames"}]
        raise GraphError(409, "Request_MultipleObjectsWithSameKeyValue", message, details=details)
    application = request.store.find_by("applications", "appId", client_id)
    if has_only_owned(request) and not _is_own(request, application):
        raise not_in_local_tenant()
    if application is None:
        raise bad_request(
            f"The appId '{client_id}' of the service principal does not reference a valid application object."
        )
    directory = request.directory
    blank = blank_service_principal(
        directory.next_id("servicePrincipal", client_id),
        application["appId"],
        application["displayName"],
        directory.tenant_id,
    )
    mirror_application(application, blank)
    blank |= {"createdByAppId": request.caller, "applicationTemplateId": application["applicationTemplateId"]}
    made = _changed(request, blank, sent)
    request.store.put("service_principals", made)
    directory.owners[made["id"]] = request.caller_object_ids()
    return entity(request, shown(made), "servicePrincipal", "servicePrincipals", status=201)


def _is_own(request: GraphRequest, application: GraphObject | None) -> bool:
    owners = request.directory.owners.get(application["id"], ()) if application else ()
    return bool(set(owners) & set(request.caller_object_ids()))


def _check_sent(sent: dict[str, Any]) -> None:
    check_properties("servicePrincipal", sent)
    check_texts(sent)
    for name in sent:
        if name in READ_ONLY or name == "appId":
            raise bad_request(f"Property '{name}' is read-only and cannot be set.")
    if sent.get("preferredSingleSignOnMode") not in SIGN_ON_MODES:
        raise bad_request("Invalid value specified for property 'preferredSingleSignOnMode'.")
    if len(sent.get("notificationEmailAddresses") or ()) > MOST_NOTIFICATION_ADDRESSES:
        raise bad_request(f"notificationEmailAddresses takes at most {MOST_NOTIFICATION_ADDRESSES} addresses.")


def _changed(request: GraphRequest, old: GraphObject, sent: dict[str, Any]) -> GraphObject:
    wanted = {name: value for name, value in deepcopy(sent).items() if not name.startswith("@odata.")}
    for name in ("keyCredentials", "passwordCredentials"):
        if name in wanted:
            wanted[name] = _kept_credentials(request, old, name, wanted[name])
    changed: GraphObject = merged(old, wanted)
    if changed["preferredTokenSigningKeyThumbprint"] and wanted.keys() & {
        "keyCredentials",
        "preferredTokenSigningKeyThumbprint",
    }:
        thumbprint = changed["preferredTokenSigningKeyThumbprint"].upper()
        changed["preferredTokenSigningKeyThumbprint"] = thumbprint
        _check_thumbprint(request, changed, thumbprint)
    return changed


def _kept_credentials(
    request: GraphRequest, old: GraphObject, name: str, sent: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return the stored credentials that a complete array still names: it can take away, and here add nothing."""
    stored = {credential["keyId"]: credential for credential in old[name]}
    kept = []
    for credential in sent:
        found = stored.get(credential.get("keyId"))
        if found is None:
            raise bad_request("A new credential is made by addTokenSigningCertificate; this array may only remove.")
        if name == "keyCredentials" and parse_time(found["endDateTime"]) <= request.tenant.clock.now():
            raise bad_request("Key credential end date is invalid.", "KeyCredentialsInvalidEndDate")
        kept.append(found)
    return kept


def _check_thumbprint(request: GraphRequest, changed: GraphObject, thumbprint: str) -> None:
    held = {key["customKeyIdentifier"] for key in changed["keyCredentials"] if key["usage"] == "Sign"}
    if thumbprint not in request.directory.signing_keys or _key_identifier(thumbprint) not in held:
        raise bad_request(
            "Invalid value specified for property 'preferredTokenSigningKeyThumbprint': this service principal has no "
            f"signing key with the thumbprint {thumbprint}."
        )


def _key_identifier(thumbprint: str) -> str:
    """Return the customKeyIdentifier of a certificate: base64 of its raw SHA-1 thumbprint."""
    return b64encode(bytes.fromhex(thumbprint)).decode()


HANDLERS: dict[str, Handler] = {
    "servicePrincipals.servicePrincipal_ListServicePrincipal": list_all,
    "servicePrincipals.servicePrincipal_CreateServicePrincipal": create,
    "servicePrincipals.servicePrincipal_GetServicePrincipal": read,
    "servicePrincipals.servicePrincipal_UpdateServicePrincipal": change,
    "servicePrincipals.servicePrincipal_DeleteServicePrincipal": delete,
    "servicePrincipals.servicePrincipal.GetByAppId": read,
    "servicePrincipals.servicePrincipal.UpdateByAppId": change,
    "servicePrincipals.servicePrincipal.DeleteByAppId": delete,
    "servicePrincipals.ListOwners": list_owners,
}
