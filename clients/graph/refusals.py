"""What Graph's failures mean: the one table from (operation, status, code) to our errors.

Texts are looked at only where Graph gives several meanings one code (graph-contract 3): by substring, case-blind.
"""

from dataclasses import dataclass

from sso import permissions
from sso.app_management import FORBIDDEN
from sso.errors import GatehouseError, NotReady, Reason, Refused, TenantError


@dataclass(frozen=True)
class Fault:
    """A failed answer of Graph."""

    status: int
    code: str
    message: str
    retry_after: float | None = None


# Statuses after which the same request may be carried out later (learn.microsoft.com/graph/errors).
TRANSIENT_STATUSES = frozenset({409, 423, 429, 500, 502, 503, 504})
# 400 and 403 that pass once the directory's replicas agree.
REPLICATING = (
    "not a valid reference update",
    "permission being assigned was not found on application",
    "does not reference a valid application object",
    "must in the local tenant",
    "no password credential found with keyid",
    # We set identifiers of SAML applications only, which this policy exempts once it sees the mode (graph-contract 7).
    "must use a verified domain of the organization",
    "all newly added uris must contain a tenant verified domain",
)
ALREADY_ASSIGNED = ("permission being assigned already exists on the object", "entitlementgrant entry already exists")
ALREADY_CONSENTED = ("permission entry already exists",)
TAKEN = ("another object with the same value for property",)
# The permission that an operation needs, where it is not the one for applications.
PERMISSIONS = {
    "consent": permissions.CONSENT,
    "assign": permissions.ASSIGNMENTS,
    "revoke": permissions.ASSIGNMENTS,
    "find assignments": permissions.ASSIGNMENTS,
    "send mail": permissions.MAIL,
    "find users": permissions.USERS,
    "find groups": permissions.GROUPS,
    "disable account": permissions.DISABLE,
    "revoke sessions": permissions.REVOKE,
}
POLICIES = {
    "CredentialTypeNotAllowedAsPerAppPolicy": FORBIDDEN,
    "CredentialInvalidLifetimeAsPerAppPolicy": (
        "The tenant's app management policy allows only shorter lives for this credential. Lower lifetime_days in the"
        " vendor's profile, or let an administrator assign this application a policy of its own."
    ),
    "SignInAudienceNotAllowedAsPerAppPolicy": "The tenant's app management policy refuses the sign-in audience.",
}
QUOTA = "Directory_QuotaExceeded"
QUOTAS = {
    "assign": (
        "It holds as many app role assignments as Entra allows of one principal, 1,500 over all applications."
        " Remove some, or assign a group in its place."
    ),
}
# learn.microsoft.com/graph/api/directory-deleteditems-restore
RESTORING_ROLE = "Cloud Application Administrator"
ROLE_MISSING, THROTTLED = 403, 429
LONG_PAUSE = 10.0  # seconds, where Graph names none


def says(fault: Fault, texts: tuple[str, ...]) -> bool:
    """Whether the message holds one of the texts."""
    message = fault.message.casefold()
    return any(text in message for text in texts)


def is_transient(fault: Fault) -> bool:
    """Whether the same request may succeed a little later."""
    if fault.status == 409:
        return fault.code == "Directory_ConcurrencyViolation"
    return fault.status in TRANSIENT_STATUSES


def refusal(operation: str, fault: Fault) -> GatehouseError:
    """The error that a failure means to whoever asked for `operation` (two or three words, such as `add secret`)."""
    if fault.status == THROTTLED:
        pause = fault.retry_after if fault.retry_after is not None else LONG_PAUSE
        return NotReady(f"Graph throttles '{operation}'.", retry_after=pause, waiting_for="throttling")
    if is_transient(fault) or says(fault, REPLICATING):
        pause = fault.retry_after if fault.retry_after is not None else 5.0
        detail = f"Graph could not yet '{operation}' ({fault.status} {fault.code})."
        return NotReady(detail, retry_after=pause, unknown=fault.status >= 500)
    if fault.status == 404:
        # What we address we have found or made: its absence is a replica that lags (graph-contract 4).
        # From instantiate it lies: the application was probably made anyway (graph-contract 3).
        detail = f"The object to '{operation}' on is not in every replica yet."
        return NotReady(detail, retry_after=5.0, unknown=operation == "instantiate")
    if fault.status == ROLE_MISSING and operation == "restore":
        return TenantError(
            f"Graph refused to restore ({fault.code}): that takes a directory role. Assign {RESTORING_ROLE} to"
            " Gatehouse's identity (Entra ID, Roles and administrators), or restore it by hand (Entra ID, App"
            " registrations, Deleted applications).",
            missing=RESTORING_ROLE,
        )
    if fault.code == QUOTA:
        return TenantError(QUOTAS.get(operation, f"Entra's limit refuses '{operation}': {fault.message}"))
    if fault.status in {401, 403}:
        permission = PERMISSIONS.get(operation, permissions.APPLICATIONS)
        found = f"Graph refused '{operation}' ({fault.status} {fault.code})."
        return TenantError(f"{found} {permissions.where_to_grant([permission])}", missing=permission)
    if fault.code in POLICIES:
        return TenantError(POLICIES[fault.code])
    if says(fault, TAKEN):
        return Refused(
            Reason("tenant", f"Another application of this tenant holds one of these values: {fault.message}"),
            status=409,
        )
    return TenantError(f"Graph refused '{operation}': {fault.status} {fault.code}: {fault.message}")
