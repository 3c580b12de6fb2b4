"""What is due: which credentials need a successor now, and whether a renewal is opened for one.

The timer decides by what the lists of applications and service principals show and by the ledger, so that an
application with nothing due costs no call of its own.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from sso import rollover
from sso.model import Application, Key, ServicePrincipal
from sso.operation import Operation
from sso.request import from_json
from sso.rotation import carries_marker, is_due
from vendors.profile import OidcProfile, Profile

# What failed for good, such as a refusal by policy, is tried again once a day: its owner is mailed each time.
RETRY_FAILED = timedelta(days=1)
ATTEMPTS = 3 * RETRY_FAILED  # that many may fail, and the vendor has its time all the same


@dataclass(frozen=True)
class Due:
    """A credential that needs a successor: its key ID or thumbprint."""

    credential: str
    left_behind: bool = False  # a younger one is in its place: its renewal is under way, or has not come through


def vendor_needs(profile: Profile) -> timedelta:
    """How long before a credential's end its successor is made at the latest.

    A vendor may take the whole overlap to acknowledge; one that reads the metadata has read it after two polls.
    """
    if isinstance(profile, OidcProfile):
        return timedelta(days=profile.oidc.secret.overlap_days) + ATTEMPTS
    policy = profile.saml.certificate
    return max(timedelta(days=policy.overlap_days), 2 * timedelta(hours=policy.poll_hours)) + ATTEMPTS


def notice(profile: Profile) -> timedelta:
    """How long before its end a credential is succeeded: as the profile says, and not too late for its vendor."""
    policy = profile.oidc.secret if isinstance(profile, OidcProfile) else profile.saml.certificate
    return max(timedelta(days=policy.renew_before_days), vendor_needs(profile))


def due(
    profile: Profile, key: Key, application: Application, service_principal: ServicePrincipal | None, now: datetime
) -> Iterator[Due]:
    """The newest secret of ours, or the certificate that signs, where a successor is due; then what is left behind."""
    before = notice(profile)
    if not isinstance(profile, OidcProfile):
        signing = rollover.active(service_principal) if service_principal else None
        if service_principal is None or signing is None:
            return
        if is_due(signing, before, now):
            yield Due(signing.thumbprint)
        # Due or not: a vendor that keeps one from the metadata may take the older of two.
        ours = (c for c in service_principal.certificates if c.display_name == rollover.subject(key))
        for certificate in ours:
            if certificate.starts < signing.starts and certificate.ends > now:
                yield Due(certificate.thumbprint, left_behind=True)
        return
    secrets = [p for p in application.passwords if carries_marker(p.display_name, key)]
    for number, password in enumerate(sorted(secrets, key=lambda password: password.starts, reverse=True)):
        if is_due(password, before, now) and (number == 0 or password.ends > now):
            yield Due(password.key_id, left_behind=number > 0)


def opens(found: Due, last: Operation | None, now: datetime) -> bool:
    """Whether a renewal is opened for what is due, beside the newest rotation of its application.

    Of one that is left behind the vendor may not have the successor: its renewal is begun again where it failed, or
    where the ledger knows of none.
    """
    if last is None:
        return True
    if succeeds(last) != found.credential:
        return not found.left_behind
    if last.state == "failed":
        return now - last.changed >= RETRY_FAILED
    return last.finished and not found.left_behind


def succeeds(operation: Operation) -> str | None:
    """The key ID or thumbprint that a rotation is to succeed."""
    asked = from_json(operation.request).rotation
    return asked.succeeds if asked else None
