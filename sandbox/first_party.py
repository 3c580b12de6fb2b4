"""Service principals that no one here registered: Microsoft Graph's own, and the identity Gatehouse runs as."""

from typing import Any

from sandbox.directory import MICROSOFT_GRAPH_CLIENT_ID, Directory, GraphObject

DEFAULT_PERMISSIONS = (
    "Application.ReadWrite.All",
    "AppRoleAssignment.ReadWrite.All",
    "DelegatedPermissionGrant.ReadWrite.All",
    "User.Read.All",
    "Group.Read.All",
    "Policy.Read.All",
    "Mail.Send",
    "User.EnableDisableAccount.All",
    "User.RevokeSessions.All",
    "AuditLog.Read.All",
)
"""What an administrator has granted the app's identity before the story begins."""

APPLICATION_PERMISSIONS = {
    # The published identifiers: learn.microsoft.com/graph/permissions-reference.
    "Application.Read.All": "9a5d68dd-52b0-4cc2-bd40-abcf44ac3a30",
    "Application.ReadWrite.All": "1bfefb4e-e0b5-418b-a88f-73c46d2cc8e9",
    "Application.ReadWrite.OwnedBy": "18a4783c-866b-4cc7-a460-3d5e5662c884",
    "AppRoleAssignment.ReadWrite.All": "06b708a9-e830-4db3-a914-8e69da51d44f",
    "DelegatedPermissionGrant.ReadWrite.All": "8e8e4742-1d95-4f68-9d56-6ee75648c72a",
    "AuditLog.Read.All": "b0afded3-3588-46d8-8b3d-9842eff778da",
    "Directory.Read.All": "7ab1d382-f21e-4acd-a863-ba3e13f7da61",
    "Directory.ReadWrite.All": "19dbc75e-c2e2-444c-a770-ec69d8559fc7",
    "Group.Read.All": "5b567255-7703-4780-807c-7be8301ae99b",
    "GroupMember.Read.All": "98830695-27a2-44f7-8c18-0c3ebc9698f6",
    "Mail.Send": "b633e1c5-b582-4048-a93e-9f11b44c7e96",
    "Policy.Read.All": "246dd0d5-5bd0-4def-940b-0421030a5b68",
    "User.EnableDisableAccount.All": "3011c876-62b7-4ada-afa2-506cbbecc68c",
    "User.RevokeSessions.All": "77f3a031-c388-4f99-b373-dc68676a979e",
    "User.Read.All": "df021288-bdef-4463-88db-98f22de89214",
    "User.ReadBasic.All": "97235f07-e226-4f63-ace3-39588e11d3a1",
}

DELEGATED_SCOPES = {
    "openid": ("37f7f235-527c-4136-accd-4a02d197296e", "Sign users in"),
    "profile": ("14dad69e-099b-42c9-810b-d002981feec1", "View users' basic profile"),
    "email": ("64a6cdd6-aab1-4aaf-94b8-3cc8405e90d0", "View users' email address"),
    "offline_access": ("7427e0e9-2fba-42fe-b0c0-848c9e6a8182", "Maintain access to data you have given it access to"),
    "User.Read": ("e1fe6dd8-ba31-4d61-89e7-88639da4683d", "Sign in and read user profile"),
}


def add_microsoft_graph(directory: Directory, service_principal: GraphObject) -> None:
    """Add Microsoft Graph's service principal with the roles and scopes that this sandbox knows."""
    service_principal |= {
        "appOwnerOrganizationId": "f8cdef31-a31e-4b4a-93e4-5f571e91255a",
        "servicePrincipalNames": [MICROSOFT_GRAPH_CLIENT_ID, "https://graph.microsoft.com"],
        "signInAudience": "AzureADMultipleOrgs",
        "appRoles": [
            {
                "allowedMemberTypes": ["Application"],
                "description": f"Allows the app the permission {name} without a signed-in user.",
                "displayName": name,
                "id": role_id,
                "isEnabled": True,
                "origin": "Application",
                "value": name,
            }
            for name, role_id in APPLICATION_PERMISSIONS.items()
        ],
        "oauth2PermissionScopes": [
            {
                "adminConsentDescription": f"{title}.",
                "adminConsentDisplayName": title,
                "id": scope_id,
                "isEnabled": True,
                "type": "User",
                "userConsentDescription": f"{title}.",
                "userConsentDisplayName": title,
                "value": name,
            }
            for name, (scope_id, title) in DELEGATED_SCOPES.items()
        ],
    }
    directory.service_principals[service_principal["id"]] = service_principal


def add_identity(directory: Directory, service_principal: GraphObject, created: str) -> None:
    """Add the managed identity Gatehouse runs as, with its permissions on Microsoft Graph."""
    service_principal |= {
        "servicePrincipalType": "ManagedIdentity",
        "servicePrincipalNames": [service_principal["appId"]],
        "alternativeNames": ["isExplicit=False"],
    }
    directory.service_principals[service_principal["id"]] = service_principal
    grant_permissions(directory, list(DEFAULT_PERMISSIONS), created)


def granted_permissions(directory: Directory) -> list[str]:
    """Return the permissions that the identity has on Microsoft Graph."""
    names = {role_id: name for name, role_id in APPLICATION_PERMISSIONS.items()}
    return sorted(names[assignment["appRoleId"]] for assignment in _granted(directory))


def grant_permissions(directory: Directory, names: Any, created: str) -> None:
    """Give the identity exactly these permissions on Microsoft Graph; raises ValueError for what is none."""
    if not isinstance(names, list) or any(name not in APPLICATION_PERMISSIONS for name in names):
        raise ValueError(f"Expected a list of permissions among {', '.join(APPLICATION_PERMISSIONS)}; found {names}.")
    for assignment in _granted(directory):
        del directory.assignments[assignment["id"]]
    identity = directory.service_principals[directory.identity_service_principal_id]
    for name in dict.fromkeys(names):
        assignment_id = directory.opaque_id("permission", name)
        directory.assignments[assignment_id] = {
            "id": assignment_id,
            "deletedDateTime": None,
            "appRoleId": APPLICATION_PERMISSIONS[name],
            "createdDateTime": created,
            "principalDisplayName": identity["displayName"],
            "principalId": identity["id"],
            "principalType": "ServicePrincipal",
            "resourceDisplayName": "Microsoft Graph",
            "resourceId": directory.graph_service_principal_id,
        }


def _granted(directory: Directory) -> list[GraphObject]:
    return [
        assignment
        for assignment in directory.assignments.values()
        if assignment["principalId"] == directory.identity_service_principal_id
        and assignment["resourceId"] == directory.graph_service_principal_id
    ]
