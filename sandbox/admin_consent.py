"""Admin consent by hand: the page an administrator opens where Gatehouse may not grant consent itself."""

from collections.abc import Mapping
from html import escape

from sandbox.access import require_application, require_service_principal
from sandbox.directory import Directory, GraphObject


def asked_scopes(directory: Directory, client_id: str) -> tuple[GraphObject, str]:
    """The service principal, and the delegated Graph scopes its application declares (AADSTS700016)."""
    service_principal = require_service_principal(directory, client_id)
    application = require_application(directory, client_id)
    graph = directory.service_principals.get(directory.graph_service_principal_id) or {}
    names = {scope["id"]: str(scope["value"]) for scope in graph.get("oauth2PermissionScopes") or []}
    declared = [
        names[access["id"]]
        for resource in application.get("requiredResourceAccess") or []
        if resource.get("resourceAppId") == graph.get("appId")
        for access in resource.get("resourceAccess") or []
        if access.get("type") == "Scope" and access.get("id") in names
    ]
    return service_principal, " ".join(declared)


def consent_form(path: str, given: Mapping[str, str], scopes: str) -> str:
    """The form that asks an administrator once."""
    hidden = "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">' for name, value in given.items()
    )
    return (
        f"<p>Everyone in the organization will consent to: {escape(scopes)}</p>"
        f'<form method="post" action="{escape(path)}">{hidden}<button name="accept" value="true">Accept</button></form>'
    )


def grant_for_everyone(directory: Directory, service_principal: GraphObject, scopes: str) -> None:
    """Record the tenant-wide grant; one that stands is widened, never narrowed."""
    key = {"clientId": service_principal["id"], "resourceId": directory.graph_service_principal_id}
    for grant in directory.grants.values():
        if grant.get("consentType") == "AllPrincipals" and all(grant.get(name) == key[name] for name in key):
            kept = str(grant.get("scope") or "").split()
            grant["scope"] = " ".join([*kept, *(scope for scope in scopes.split() if scope not in kept)])
            return
    grant_id = directory.next_id("oauth2PermissionGrant", *map(str, key.values()))
    directory.grants[grant_id] = {
        "id": grant_id,
        "consentType": "AllPrincipals",
        "principalId": None,
        "scope": scopes,
        **key,
    }
