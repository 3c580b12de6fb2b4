"""Which application permissions of Microsoft Graph a request needs, and where to grant them.

Least ones that work for every story (graph-contract 2); a gallery application cannot be made with
Application.ReadWrite.OwnedBy alone, because instantiate leaves its objects without an owner.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # a first answer of Graph needs no request, whose rules bring the catalogue's schema
    from sso.request import Onboarding

APPLICATIONS = "Application.ReadWrite.All"
ASSIGNMENTS = "AppRoleAssignment.ReadWrite.All"
CONSENT = "DelegatedPermissionGrant.ReadWrite.All"
USERS = "User.Read.All"
GROUPS = "Group.Read.All"
POLICIES = "Policy.Read.All"
MAIL = "Mail.Send"
DISABLE = "User.EnableDisableAccount.All"
REVOKE = "User.RevokeSessions.All"
REPORTS = "AuditLog.Read.All"

USES = {
    APPLICATIONS: "create and configure applications",
    ASSIGNMENTS: "assign people",
    CONSENT: "consent for everyone (without it, an administrator is asked each time)",
    USERS: "look people up",
    GROUPS: "look groups up",
    POLICIES: "fit credentials to the tenant's app management policy",
    DISABLE: "disable the account of somebody who has left",
    REVOKE: "end the sign-in sessions of somebody who has left",
    REPORTS: "tell in a reminder whether a secret was used",
    MAIL: "send hand-offs (or a grant in Exchange, limited to one mailbox, which no token shows)",
}
# Without these all works but the end of a leaver's account, which waits for them, and a hint in a reminder.
OPTIONAL = frozenset({DISABLE, REVOKE, REPORTS})
# What a higher permission of the token includes (graph-contract 2).
INCLUDED = {
    USERS: frozenset({"Directory.Read.All", "Directory.ReadWrite.All", "User.ReadWrite.All"}),
    GROUPS: frozenset({"Directory.Read.All", "Directory.ReadWrite.All", "Group.ReadWrite.All"}),
    POLICIES: frozenset({"Policy.ReadWrite.ApplicationConfiguration"}),
    CONSENT: frozenset({"Directory.ReadWrite.All"}),
    REPORTS: frozenset({"Directory.Read.All", "Directory.ReadWrite.All"}),
    DISABLE: frozenset({"User.ReadWrite.All", "Directory.ReadWrite.All"}),
    REVOKE: frozenset({"User.ReadWrite.All", "Directory.ReadWrite.All"}),
}


def has(permission: str, roles: Iterable[str]) -> bool:
    """Whether a token with these roles may do what the permission allows."""
    return bool({permission, *INCLUDED.get(permission, ())} & set(roles))


def lacking(request: "Onboarding", roles: frozenset[str], *, mints: bool = False) -> tuple[str, ...]:
    """The permissions that this request needs before its first write and the token does not carry.

    Policies are needed only by what `mints` a secret or certificate: unread they would be met by a refusal.

    Consent is left out, because without it the operation waits for an administrator; mail, because Exchange may grant
    it unseen.
    """
    needed = [APPLICATIONS, *([ASSIGNMENTS] if request.principals else []), *([POLICIES] if mints else [])]
    return tuple(permission for permission in needed if not has(permission, roles))


def where_to_grant(permissions: Iterable[str]) -> str:
    """The sentence that names permissions, what each is for, and where to grant them."""
    named = "; ".join(f"{permission} (to {USES[permission]})" for permission in permissions)
    return (
        f"Gatehouse's identity lacks {named}. Grant it as an application permission of Microsoft Graph"
        " (New-MgServicePrincipalAppRoleAssignment); a managed identity's token shows it within 24 hours."
    )
