"""An application's credentials as people see them: whose each is, what it is for, and what is waited for on it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

from sso import rollover, rotation
from sso.observed import Observed
from sso.operation import Operation, Waiting
from vendors.profile import Profile, SamlProfile

SecretState = Literal[
    "staged",  # in the vault, not proved yet
    "current",  # proved, and what the vault's public name holds
    "previous",  # was current, and works until its successor is acknowledged and the overlap is over
    "value lost",  # ours, and no version in the vault knows it
    "ended",  # ours, and its time is over
    "foreign",  # without our mark: never touched
]
CertificateState = Literal[
    "active",  # signs
    "next",  # ours and younger than the active one: added, and does not sign yet
    "previous",  # ours and older than the active one
    "ended",  # ours, its time is over, and it does not sign
    "foreign",  # without our mark, and does not sign: never touched
]
SECRET_STATES: tuple[SecretState, ...] = get_args(SecretState)
CERTIFICATE_STATES: tuple[CertificateState, ...] = get_args(CertificateState)
_PENDING = ("staged", "next")


@dataclass(frozen=True)
class Credential:
    """One client secret or signing certificate, never its value."""

    kind: Literal["client_secret", "signing_certificate"]
    id: str
    state: SecretState | CertificateState
    starts: datetime
    ends: datetime
    ours: bool


def credentials_of(profile: Profile, observed: Observed, now: datetime) -> tuple[Credential, ...]:
    """Every credential of an application, ours and others'."""
    return tuple(_certificates(observed, now) if isinstance(profile, SamlProfile) else _secrets(observed, now))


def waiting_on(
    credential: Credential, among: Iterable[Credential], observed: Observed, unfinished: Iterable[Operation]
) -> Waiting | None:
    """What the newest operation that is about a credential waits for, and of whom; None where none waits.

    An acknowledgement is of the credential that the newest page told; anything else holds up the one that is not in use
    yet. Where there is none, the one that is to be succeeded waits.
    """
    pending = next((other.id for other in among if other.state in _PENDING), None)
    for operation in unfinished:
        waiting = operation.waiting_for
        if waiting is None:
            continue
        succeeds = (operation.request.get("rotation") or {}).get("succeeds")
        told = observed.page.credential if observed.page else None
        # What "activate now" is to add has no name on its page yet.
        if credential.id == (told or succeeds if waiting.what == "acknowledgement" else pending or succeeds):
            return waiting
    return None


def _secrets(observed: Observed, now: datetime) -> Iterable[Credential]:
    passwords = observed.application.passwords if observed.application else ()
    facts = rotation.SecretFacts(observed.key, passwords, observed.versions, now)
    current, staged = facts.current, facts.staged
    lost = {password.key_id for password in facts.without_value}
    for password in passwords:
        ours = rotation.carries_marker(password.display_name, observed.key)
        state: SecretState = "previous"
        if ours and password.ends <= now:
            state = "ended"
        elif current and password.key_id == current.key_id:
            state = "current"
        elif staged and password.key_id == staged.key_id:
            state = "staged"
        elif not ours:
            state = "foreign"
        elif password.key_id in lost:
            state = "value lost"
        yield Credential("client_secret", password.key_id, state, password.starts, password.ends, ours)


def _certificates(observed: Observed, now: datetime) -> Iterable[Credential]:
    found = observed.service_principal
    active = rollover.active(found) if found else None
    for certificate in found.certificates if found else ():
        ours = certificate.display_name == rollover.subject(observed.key)
        state: CertificateState = "previous"
        if active and certificate.thumbprint == active.thumbprint:
            state = "active"
        elif not ours:
            state = "foreign"
        elif certificate.ends <= now:
            state = "ended"
        elif active is None or certificate.starts > active.starts:
            state = "next"
        thumbprint, starts, ends = certificate.thumbprint, certificate.starts, certificate.ends
        yield Credential("signing_certificate", thumbprint, state, starts, ends, ours)
