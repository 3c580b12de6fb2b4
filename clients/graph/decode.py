"""Graph's JSON read into our nouns, and our settings written as Graph's JSON."""

import base64
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from sso.model import (
    GRAPH_CLIENT_ID,
    Application,
    ApplicationTemplate,
    AppRole,
    AppRoleAssignment,
    AppRoleId,
    ClientId,
    ConsentGrant,
    KeyId,
    ObjectId,
    PasswordCredential,
    Principal,
    PublishedScope,
    ServicePrincipal,
    TemplateId,
    Thumbprint,
    TokenSigningCertificate,
    Unmanaged,
)

JSON = dict[str, Any]

APPLICATION_FIELDS = [
    "id", "appId", "displayName", "uniqueName", "applicationTemplateId", "createdDateTime", "tags", "identifierUris",
    "web", "api", "requiredResourceAccess", "appRoles", "passwordCredentials",
]  # fmt: skip
SERVICE_PRINCIPAL_FIELDS = [
    "id", "appId", "accountEnabled", "tags", "preferredSingleSignOnMode", "loginUrl", "logoutUrl",
    "samlSingleSignOnSettings", "appRoleAssignmentRequired", "notificationEmailAddresses",
    "preferredTokenSigningKeyThumbprint", "keyCredentials", "appRoles",
]  # fmt: skip
USER_FIELDS = ["id", "displayName", "userPrincipalName", "mail", "accountEnabled", "userType"]
GROUP_FIELDS = ["id", "displayName", "mail", "mailEnabled", "securityEnabled"]


def moment(text: str) -> datetime:
    """A Graph date-time: UTC, up to seven decimals, of which Python keeps six."""
    whole, _, rest = text.rstrip("Z").partition(".")
    return datetime.fromisoformat(whole + (f".{rest[:6]}" if rest else "")).replace(tzinfo=UTC)


def wire_moment(when: datetime) -> str:
    """A date-time as Graph takes it: whole seconds, UTC."""
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def application(body: JSON, scope_names: Mapping[str, str]) -> Application:
    """Read an application; `scope_names` are Microsoft Graph's delegated permissions, ID to name."""
    web, api = body.get("web") or {}, body.get("api") or {}
    required = [access for entry in body.get("requiredResourceAccess") or [] for access in entry["resourceAccess"]]
    scopes = api.get("oauth2PermissionScopes") or []
    return Application(
        object_id=ObjectId(body["id"]),
        client_id=ClientId(body["appId"]),
        display_name=body.get("displayName") or "",
        unique_name=body.get("uniqueName"),
        template_id=TemplateId(body["applicationTemplateId"]) if body.get("applicationTemplateId") else None,
        created=moment(body["createdDateTime"]) if body.get("createdDateTime") else datetime.fromtimestamp(0, UTC),
        tags=tuple(body.get("tags") or ()),
        identifiers=tuple(body.get("identifierUris") or ()),
        reply_urls=tuple(web.get("redirectUris") or ()),
        logout_url=web.get("logoutUrl"),
        scopes=tuple(PublishedScope(json.dumps(scope), _scope_texts(scope)) for scope in scopes),
        required_scopes=frozenset(
            scope_names.get(access["id"], access["id"]) for access in required if access["type"] == "Scope"
        ),
        app_roles=app_roles(body),
        passwords=tuple(password(entry) for entry in body.get("passwordCredentials") or ()),
        required_access=json.dumps(body.get("requiredResourceAccess") or []),
    )


SCOPE_TEXTS = ("adminConsentDescription", "adminConsentDisplayName", "userConsentDescription", "userConsentDisplayName")


def _scope_texts(scope: JSON) -> str:
    return "\n".join(str(scope.get(name) or "") for name in SCOPE_TEXTS)


def rename_scopes(scopes: Iterable[PublishedScope], old: str, new: str) -> list[JSON]:
    """The published scopes with one name in their texts replaced by another."""
    renamed = []
    for scope in scopes:
        entry: JSON = json.loads(scope.raw)
        entry |= {name: entry[name].replace(old, new) for name in SCOPE_TEXTS if entry.get(name)}
        renamed.append(entry)
    return renamed


def with_scopes(required_access: str, ids: Iterable[str]) -> list[JSON]:
    """What an application declares to need, with delegated permissions of Microsoft Graph added to it."""
    entries: list[JSON] = json.loads(required_access)
    declared = {access["id"] for entry in entries for access in entry["resourceAccess"]}
    added = [{"id": scope_id, "type": "Scope"} for scope_id in ids if scope_id not in declared]
    ours = [entry for entry in entries if entry["resourceAppId"] == GRAPH_CLIENT_ID]
    for entry in ours[:1]:
        entry["resourceAccess"] = [*entry["resourceAccess"], *added]
    return entries if ours else [*entries, {"resourceAppId": GRAPH_CLIENT_ID, "resourceAccess": added}]


def password(body: JSON) -> PasswordCredential:
    """Read a client secret's description."""
    return PasswordCredential(
        KeyId(body["keyId"]), body.get("displayName") or "", moment(body["startDateTime"]), moment(body["endDateTime"])
    )


def app_roles(body: JSON) -> tuple[AppRole, ...]:
    """Read the roles of an application or a service principal."""
    return tuple(
        AppRole(
            AppRoleId(role["id"]),
            role.get("value"),
            role.get("displayName") or "",
            bool(role.get("isEnabled")),
            "User" in (role.get("allowedMemberTypes") or ()),
        )
        for role in body.get("appRoles") or ()
    )


def service_principal(body: JSON, *, listed: bool = False) -> ServicePrincipal:
    """Read a service principal; its certificates only where `keyCredentials` were selected on this one object.

    Where it is `listed` Graph serves them without their bytes: good for dates, never for what a vendor is told.
    """
    thumbprint = body.get("preferredTokenSigningKeyThumbprint")
    return ServicePrincipal(
        object_id=ObjectId(body["id"]),
        client_id=ClientId(body["appId"]),
        enabled=bool(body.get("accountEnabled", True)),
        tags=tuple(body.get("tags") or ()),
        sign_on_mode=body.get("preferredSingleSignOnMode"),
        sign_on_url=body.get("loginUrl"),
        logout_url=body.get("logoutUrl"),
        relay_state=(body.get("samlSingleSignOnSettings") or {}).get("relayState"),
        assignment_required=bool(body.get("appRoleAssignmentRequired")),
        notification_addresses=tuple(body.get("notificationEmailAddresses") or ()),
        active_thumbprint=Thumbprint(thumbprint.upper()) if thumbprint else None,
        certificates=tuple(
            certificate(entry)
            for entry in body.get("keyCredentials") or ()
            if entry.get("usage") == "Verify" and (listed or entry.get("key"))
        ),
        app_roles=app_roles(body),
    )


def certificate(body: JSON) -> TokenSigningCertificate:
    """Read the Verify half of a signing certificate; its `customKeyIdentifier` is the base64 of its thumbprint."""
    raw = base64.b64decode(body["customKeyIdentifier"])
    return TokenSigningCertificate(
        thumbprint=Thumbprint(raw.hex().upper()),
        display_name=body.get("displayName") or "",
        starts=moment(body["startDateTime"]),
        ends=moment(body["endDateTime"]),
        der=base64.b64decode(body.get("key") or ""),
    )


def template(body: JSON) -> ApplicationTemplate:
    """Read a gallery entry."""
    return ApplicationTemplate(
        TemplateId(body["id"]), body["displayName"], tuple(body.get("supportedSingleSignOnModes") or ())
    )


def configuration(body: JSON) -> dict[str, tuple[str, ...]]:
    """Read a gallery entry's preset addresses, usage to values; values with `*` are patterns, not addresses."""
    return {
        uri["usage"]: tuple(value for value in uri.get("values") or () if "*" not in value)
        for uri in body.get("configurationUris") or ()
    }


def grant(body: JSON) -> ConsentGrant:
    """Read a delegated grant."""
    return ConsentGrant(body["id"], frozenset(str(body.get("scope") or "").split()))


def assignment(body: JSON) -> AppRoleAssignment:
    """Read an app role assignment."""
    return AppRoleAssignment(
        id=body["id"],
        principal_id=ObjectId(body["principalId"]),
        role_id=AppRoleId(body["appRoleId"]),
        service_principal_id=ObjectId(body["resourceId"]),
        principal_kind=str(body.get("principalType") or "User").lower(),
        principal_name=body.get("principalDisplayName") or body["principalId"],
    )


def is_id(text: str) -> bool:
    """Whether a text is an object ID."""
    parts = text.split("-")
    return [len(part) for part in parts] == [8, 4, 4, 4, 12] and all(c in "0123456789abcdefABCDEF-" for c in text)


def user(body: JSON) -> Principal:
    """Read a user."""
    return Principal(
        object_id=ObjectId(body["id"]),
        kind="user",
        name=body.get("displayName") or body.get("userPrincipalName") or body["id"],
        address=body.get("mail"),
        guest=body.get("userType") == "Guest",
        enabled=bool(body.get("accountEnabled", True)),
    )


def group(body: JSON) -> Principal:
    """Read a group."""
    return Principal(
        object_id=ObjectId(body["id"]),
        kind="group",
        name=body.get("displayName") or body["id"],
        address=body.get("mail") if body.get("mailEnabled") else None,
        security_group=bool(body.get("securityEnabled")),
    )


def unmanaged(body: JSON) -> Unmanaged:
    """Read an application that is not ours."""
    found = application(body, {})
    return Unmanaged(found.object_id, found.client_id, found.display_name, found.identifiers, found.tags)
