"""Who may sign in where: the directory's rules, one function each, the same for SAML and OpenID Connect."""

from collections.abc import Iterable

from sandbox.aadsts import SignInError
from sandbox.directory import Directory, GraphObject

GRAPH_SCOPE_PREFIX = "https://graph.microsoft.com/"


def require_tenant(directory: Directory, tenant_id: str) -> None:
    """Pass only this tenant's own ID (AADSTS90002)."""
    if tenant_id.casefold() != directory.tenant_id:
        raise SignInError(90002, tenant=tenant_id)


def require_service_principal(directory: Directory, client_id: str) -> GraphObject:
    """The enabled service principal with this client ID (AADSTS700016, AADSTS7000112)."""
    service_principal = directory.service_principal_by_client_id(client_id)
    if service_principal is None:
        raise SignInError(700016, client_id=client_id, tenant=directory.tenant_id)
    application = directory.application_by_client_id(client_id) or {}
    disabled = service_principal.get("accountEnabled") is False or service_principal.get("isDisabled")
    if disabled or application.get("isDisabled"):
        raise SignInError(7000112, client_id=client_id, name=str(service_principal.get("displayName")))
    return service_principal


def require_application(directory: Directory, client_id: str) -> GraphObject:
    """The application registered in this tenant with this client ID (AADSTS700016)."""
    application = directory.application_by_client_id(client_id)
    if application is None:
        raise SignInError(700016, client_id=client_id, tenant=directory.tenant_id)
    return application


def require_user(directory: Directory, upn: str) -> GraphObject:
    """The enabled user with this user principal name (AADSTS50034, AADSTS50057)."""
    user = directory.user_by_upn(upn)
    if user is None:
        raise SignInError(50034, user=upn, tenant=directory.tenant_id)
    if user.get("accountEnabled") is False:
        raise SignInError(50057)
    return user


def require_assignment(directory: Directory, service_principal: GraphObject, user: GraphObject) -> list[str]:
    """The values of the roles this person has here; AADSTS50105 where assignment is required and there is none."""
    assigned = _assignments(directory, service_principal, _principals(directory, user))
    if not assigned and service_principal.get("appRoleAssignmentRequired"):
        raise SignInError(
            50105,
            name=str(service_principal.get("displayName")),
            client_id=str(service_principal["appId"]),
            user=str(user["userPrincipalName"]),
        )
    return _role_values(service_principal, assigned)


def require_consent(
    directory: Directory, service_principal: GraphObject, scopes: Iterable[str], graph_url: str
) -> list[str]:
    """The requested scopes, all of them consented to for everyone (AADSTS90094)."""
    wanted = [scope.removeprefix(GRAPH_SCOPE_PREFIX).removeprefix(f"{graph_url}/") for scope in scopes]
    consented = {
        scope
        for grant in directory.grants.values()
        if grant.get("clientId") == service_principal["id"]
        and grant.get("consentType") == "AllPrincipals"
        and grant.get("resourceId") == directory.graph_service_principal_id
        for scope in str(grant.get("scope") or "").casefold().split()
    }
    if any(scope.casefold() not in consented for scope in wanted):
        raise SignInError(90094, name=str(service_principal.get("displayName")))
    return wanted


def app_only_roles(directory: Directory, service_principal: GraphObject, resource: GraphObject) -> list[str]:
    """The values of the application permissions that a service principal holds on a resource."""
    return _role_values(resource, _assignments(directory, resource, {service_principal["id"]}))


def _principals(directory: Directory, user: GraphObject) -> set[str]:
    # Only direct members: Entra gives nothing to members of nested groups (graph-contract 10).
    return {user["id"], *(group for group, members in directory.members.items() if user["id"] in members)}


def _assignments(directory: Directory, resource: GraphObject, principals: set[str]) -> list[GraphObject]:
    return [
        assignment
        for assignment in directory.assignments.values()
        if assignment.get("resourceId") == resource["id"] and assignment.get("principalId") in principals
    ]


def _role_values(resource: GraphObject, assignments: Iterable[GraphObject]) -> list[str]:
    held = {assignment.get("appRoleId") for assignment in assignments}
    return sorted(
        str(role["value"]) for role in resource.get("appRoles") or [] if role.get("value") and role.get("id") in held
    )
