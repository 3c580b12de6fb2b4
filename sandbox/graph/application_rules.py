"""What the directory refuses on an application (graph-contract sections 3, 5 and 7)."""

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from sandbox.directory import GraphObject
from sandbox.graph.errors import GraphError, bad_request, taken
from sandbox.graph.schemas import check_properties
from sandbox.graph.wire import GraphRequest
from sandbox.seed import VERIFIED_DOMAINS

READ_ONLY = frozenset(
    {
        "id",
        "appId",
        "applicationTemplateId",
        "certification",
        "createdByAppId",
        "createdDateTime",
        "deletedDateTime",
        "disabledByMicrosoftStatus",
        "publisherDomain",
        "verifiedPublisher",
    }
)
AUDIENCES = frozenset(
    {"AzureADMyOrg", "AzureADMultipleOrgs", "AzureADandPersonalMicrosoftAccount", "PersonalMicrosoftAccount"}
)
# learn.microsoft.com/entra/identity-platform/reply-url
MOST_REDIRECT_URIS = 256
LONGEST_REDIRECT_URI = 256
REFUSED_CHARACTERS = frozenset("!$'(),;")
LONGEST_TEXT = {"displayName": 256, "notes": 1024, "description": 1024}
LONGEST_TAG = 256
_GUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")


def check_sent(sent: dict[str, Any]) -> None:
    """Refuse what no application may be given: unknown, read-only or malformed properties."""
    check_properties("application", sent)
    for name in sent:
        if name in READ_ONLY:
            raise bad_request(f"Property '{name}' is read-only and cannot be set.")
    if sent.get("passwordCredentials"):
        raise bad_request("New password credentials must be generated with service actions: use addPassword.")
    if sent.get("keyCredentials"):
        raise bad_request("The sandbox offers no key credentials on applications.")
    if sent.get("signInAudience", "AzureADMyOrg") not in AUDIENCES:
        raise bad_request("Invalid value specified for property 'signInAudience' of resource 'Application'.")
    check_texts(sent)
    web = sent.get("web") or {}
    if "redirectUris" in web and "redirectUriSettings" in web:
        raise bad_request("Write either web.redirectUris or web.redirectUriSettings, not both in one request.")


def check_texts(sent: dict[str, Any]) -> None:
    """Refuse texts and tags that are too long."""
    for name, longest in LONGEST_TEXT.items():
        if isinstance(text := sent.get(name), str) and len(text) > longest:
            raise bad_request(f"Invalid value specified for property '{name}': longer than {longest} characters.")
    for tag in sent.get("tags") or ():
        if not 0 < len(tag) <= LONGEST_TAG:
            raise bad_request("Invalid value specified for property 'tags': 1 to 256 characters each.")


def check_application(request: GraphRequest, changed: GraphObject, old: GraphObject | None) -> None:
    """Refuse a new state of an application that breaks a rule; `old` is None for a new one."""
    if not changed["displayName"]:
        raise bad_request("A value is required for property 'displayName' of resource 'Application'.")
    _check_redirect_uris(changed)
    _check_unique_name(request, changed, old)
    _check_identifiers(request, changed, old)
    if old is not None:
        _check_removed(old["appRoles"], changed["appRoles"])
        _check_removed(old["api"]["oauth2PermissionScopes"], changed["api"]["oauth2PermissionScopes"])


def _check_redirect_uris(changed: GraphObject) -> None:
    uris = [uri for platform in ("web", "spa", "publicClient") for uri in changed[platform]["redirectUris"]]
    if len(uris) > MOST_REDIRECT_URIS:
        raise bad_request(f"The number of redirect URIs exceeds {MOST_REDIRECT_URIS}.")
    for uri in uris:
        parts = urlsplit(uri)
        local = parts.scheme == "http" and parts.hostname in ("localhost", "127.0.0.1")
        if (
            len(uri) > LONGEST_REDIRECT_URI
            or REFUSED_CHARACTERS & set(uri)
            or not (local or parts.scheme == "https")
            or not parts.netloc
        ):
            raise bad_request(f"The redirect URI '{uri}' is not valid: https, at most 256 characters, none of !$'(),;")


def _check_unique_name(request: GraphRequest, changed: GraphObject, old: GraphObject | None) -> None:
    name = changed["uniqueName"]
    if old is not None and old["uniqueName"] is not None and name != old["uniqueName"]:
        raise bad_request("Property 'uniqueName' is immutable once it has been set.")
    if name and any(other["uniqueName"] == name for other in _others(request, changed)):
        raise taken("uniqueName")


def _check_identifiers(request: GraphRequest, changed: GraphObject, old: GraphObject | None) -> None:
    held = {uri.casefold() for other in _others(request, changed) for uri in other["identifierUris"]}
    for uri in changed["identifierUris"]:
        if uri.casefold() in held:
            raise taken("identifierUris")
    added = [uri for uri in changed["identifierUris"] if old is None or uri not in old["identifierUris"]]
    service_principal = request.store.primary.find_by("service_principals", "appId", changed["appId"])
    if service_principal is not None and request.tenant.switches.saml_mode_lags:
        service_principal = request.store.seen("service_principals", service_principal["id"])
    is_saml = service_principal is not None and service_principal["preferredSingleSignOnMode"] == "saml"
    # learn.microsoft.com/entra/identity-platform/identifier-uri-restrictions: the two documented exemptions.
    if is_saml or changed["api"]["requestedAccessTokenVersion"] == 2:
        return
    for uri in added:
        if not _is_own_identifier(uri, changed["appId"], request.directory.tenant_id):
            raise GraphError(
                400,
                "HostNameNotOnVerifiedDomain",
                "Values of identifierUris property must use a verified domain of the organization or its subdomain: "
                f"'{uri}'",
            )


def _is_own_identifier(uri: str, client_id: str, tenant_id: str) -> bool:
    parts = urlsplit(uri)
    host = (parts.hostname or "").casefold()
    if any(host == domain or host.endswith(f".{domain}") for domain in VERIFIED_DOMAINS):
        return parts.scheme in ("https", "api")
    if parts.scheme != "api":
        return False
    words = uri.removeprefix("api://").split("/")
    return words in ([client_id], [tenant_id, client_id]) or (
        len(words) == 2 and (words[0] == tenant_id or words[1] == client_id)
    )


def _others(request: GraphRequest, changed: GraphObject) -> Iterable[GraphObject]:
    """Return every other application, the soft-deleted ones too where they keep their names."""
    yield from (other for other in request.store.rows("applications") if other["id"] != changed["id"])
    if request.tenant.switches.deleted_names_reserved:
        yield from (gone for gone in request.store.rows("deleted") if "identifierUris" in gone)


def _check_removed(old: list[GraphObject], new: list[GraphObject]) -> None:
    kept = {entry.get("id") for entry in new}
    for entry in new:
        if not _GUID.fullmatch(str(entry.get("id") or "")):
            raise bad_request("Invalid value specified for property 'id': each role and scope needs a GUID.")
    if any(entry["id"] not in kept and entry.get("isEnabled", True) for entry in old):
        raise bad_request(
            "Permission (scope or role) cannot be deleted or updated unless disabled first.",
            "CannotDeleteOrUpdateEnabledEntitlement",
        )
