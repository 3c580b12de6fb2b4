"""What the tenant's app management policies leave of a credential's life, decided before the first call.

An application with an enabled policy of its own inherits nothing from the tenant's default
(learn.microsoft.com/graph/api/resources/applicationauthenticationmethodpolicy). Which half of a policy counts for a
signing certificate is not clear, so the stricter one does. Where some actors are exempt no token says whether we are
one: a shorter life is right in either case, and what is forbidden is tried, since Graph's refusal is named.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import floor

PASSWORD_ADDITION = "passwordAddition"  # noqa: S105  # Graph's name of a restriction
PASSWORD_LIFETIME = "passwordLifetime"  # noqa: S105  # the same
CERTIFICATE_LIFETIME = "asymmetricKeyLifetime"
# Graph measures a life from its own clock, which may be behind ours.
MARGIN = timedelta(minutes=5)
DAY = timedelta(days=1)

FORBIDDEN = (
    "The tenant's app management policy forbids client secrets. Let an administrator assign this application a policy"
    " of its own that allows them, or ask the vendor for SAML sign-on."
)


@dataclass(frozen=True)
class Restriction:
    """One restriction that a policy enforces."""

    kind: str  # Graph's `restrictionType`
    longest: timedelta | None = None
    created_after: datetime | None = None  # it counts for applications made later; None: for all
    exempts: bool = False  # whether it exempts some actors


@dataclass(frozen=True)
class Policy:
    """One enabled policy."""

    secrets: tuple[Restriction, ...] = ()
    certificates: tuple[Restriction, ...] = ()
    service_principals: tuple[Restriction, ...] = ()  # on certificates again: the default's other half


def in_force(default: Policy | None, own: Policy | None) -> Policy:
    """The policy that counts for an application: its own, else the tenant's, else none."""
    if own and default:
        return replace(own, service_principals=default.service_principals)
    return own or default or Policy()


def forbids_secrets(policy: Policy, created: datetime) -> bool:
    """Whether an application of this age may have no new client secret, whoever asks."""
    return any(r.kind == PASSWORD_ADDITION and not r.exempts for r in _counting(policy.secrets, created))


def secret_life(wanted: timedelta, policy: Policy, created: datetime) -> timedelta:
    """The life of a new client secret: as wanted, or what is left of it."""
    return _fitted(wanted, PASSWORD_LIFETIME, policy.secrets, created)


def certificate_life(wanted: timedelta, policy: Policy, created: datetime) -> timedelta:
    """The life of a new signing certificate: as wanted, or what is left of it."""
    return _fitted(wanted, CERTIFICATE_LIFETIME, (*policy.certificates, *policy.service_principals), created)


def of_days(life: timedelta, wanted: timedelta) -> str:
    """How a plan says a life: in days, and that it was fitted where it was."""
    if life == wanted:
        return f"{wanted.days} days"
    days = floor((life + MARGIN) / DAY)
    return f"{days} days, the most that the tenant's app management policy allows,"


def _counting(restrictions: Iterable[Restriction], created: datetime) -> Iterable[Restriction]:
    return (r for r in restrictions if r.created_after is None or created > r.created_after)


def _fitted(wanted: timedelta, kind: str, restrictions: Iterable[Restriction], created: datetime) -> timedelta:
    longest = [r.longest for r in _counting(restrictions, created) if r.kind == kind and r.longest is not None]
    shortest = min(longest, default=None)
    return wanted if shortest is None or wanted <= shortest else shortest - MARGIN
