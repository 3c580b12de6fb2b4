"""The signing certificate's state machine, over its whole life.

Nothing is remembered: the service principal's certificates, the hand-off's page and the acknowledgement decide what is
next, so a run that died anywhere is simply continued. The published metadata lists every certificate, active or not
(graph-contract 9), so how a vendor learns of a new one decides when that may be added.

A table, read from the top: the first row whose condition holds decides. `docs/credentials.md` shows it, and a test
compares the two.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from sso.model import Key, ServicePrincipal, Thumbprint, TokenSigningCertificate
from sso.rotation import LOOK_AGAIN, WARN_BEFORE
from vendors.profile import RolloverMode, SamlProfile


class CertificateStep(Enum):
    """What the first signing certificate needs next."""

    ADD = "add"
    ACTIVATE = "activate"
    NOTHING = "nothing"


@dataclass(frozen=True)
class CertificateDecision:
    """The next step, with the certificate to activate where one is there."""

    step: CertificateStep
    thumbprint: Thumbprint | None = None


def subject(key: Key) -> str:
    """The certificate's name, which carries our marker; Graph demands that it begins with `CN=`."""
    return f"CN={key.marker}"


def active(service_principal: ServicePrincipal) -> TokenSigningCertificate | None:
    """The certificate that signs now."""
    wanted = service_principal.active_thumbprint
    return next((c for c in service_principal.certificates if c.thumbprint == wanted), None)


def successor(key: Key, service_principal: ServicePrincipal, to: Thumbprint | None) -> TokenSigningCertificate | None:
    """The newest certificate of ours that is younger than the one that it is to succeed."""
    old = next((c for c in service_principal.certificates if c.thumbprint == to), None)
    ours = [c for c in service_principal.certificates if c.display_name == subject(key) and c.thumbprint != to]
    younger = [c for c in ours if old is None or c.starts > old.starts]
    return max(younger, key=lambda certificate: certificate.starts, default=None)


def told(key: Key, service_principal: ServicePrincipal) -> TokenSigningCertificate | None:
    """The certificate that a hand-off tells: the successor of the active one once it is added, else the active one."""
    signing = active(service_principal)
    return (successor(key, service_principal, signing.thumbprint) or signing) if signing else None


def next_step(key: Key, service_principal: ServicePrincipal | None) -> CertificateDecision:
    """Decide the next step of the first certificate.

    One of ours that is not active while none is, is a lost answer's and is used (design: SAML order).
    """
    if service_principal is None:
        return CertificateDecision(CertificateStep.ADD)
    if active(service_principal):
        return CertificateDecision(CertificateStep.NOTHING)
    newest = successor(key, service_principal, None)
    if newest:
        return CertificateDecision(CertificateStep.ACTIVATE, newest.thumbprint)
    return CertificateDecision(CertificateStep.ADD)


def mode_of(profile: SamlProfile) -> RolloverMode:
    """How the vendor takes a new certificate; where its profile does not say, the most careful way."""
    unknown: RolloverMode = "metadata_single" if "metadata_url" in profile.handoff.deliver else "single"
    return profile.saml.certificate.rollover or unknown


@dataclass(frozen=True)
class Rollover:
    """A signing certificate that is to be succeeded, and how far that has come."""

    mode: RolloverMode
    old: TokenSigningCertificate | None  # None: removed
    removable: bool  # the old one is ours, and can be taken out without touching what is not
    new: TokenSigningCertificate | None  # None: not added yet
    signs: bool  # the new one signs
    compromised: bool
    told: bool  # whether the page that tells of this is mailed
    pressed: bool  # "activate now" was pressed on it
    remind_at: datetime | None  # None: another operation's page was mailed last, and that one reminds
    warned: bool  # whether owner and operators were warned of the old one's end
    acknowledged: datetime | None  # when the new one was
    poll: timedelta  # within which the vendor has read the metadata
    overlap: timedelta
    now: datetime

    @property
    def at_once(self) -> bool:
        """Whether the new one is to sign without waiting for anybody."""
        return self.compromised or self.pressed

    @property
    def ended(self) -> bool:
        """Whether the old one has ended, so that Entra would use a new one at once."""
        return self.old is None or self.old.ends <= self.now

    @property
    def polled(self) -> datetime | None:
        """When a vendor that reads the metadata and keeps all has read the new one for certain."""
        return self.new.starts + 2 * self.poll if self.new else None

    @property
    def needs_nobody(self) -> bool:
        """Whether the vendor's own reading is enough, without an acknowledgement."""
        return self.mode == "metadata"

    @property
    def over(self) -> datetime | None:
        """When the overlap is over; None while nothing says that the vendor has the new one."""
        known = self.polled if self.needs_nobody else self.acknowledged
        return known + self.overlap if known else None


class RolloverStep(Enum):
    """What a rollover needs next."""

    DONE = "done"
    ADD = "add the new one, not active"
    ACTIVATE = "activate the new one"
    ANNOUNCE = "announce"
    RETIRE = "retire the old one"
    WAIT_OVERLAP = "wait until the overlap is over"
    WARN = "warn the owner and the operators"
    REMIND = "remind"
    WAIT_POLL = "wait until the vendor has read the metadata twice"
    WAIT_VENDOR = "wait for the vendor"


ROLLOVER_TABLE: tuple[tuple[str, Callable[[Rollover], bool], RolloverStep], ...] = (
    (
        "The old certificate is compromised, or 'activate now' was pressed, and there is no new one.",
        lambda r: r.at_once and r.new is None,
        RolloverStep.ADD,
    ),
    (
        "The old certificate is compromised, or 'activate now' was pressed, and the new one does not sign.",
        lambda r: r.at_once and not r.signs,
        RolloverStep.ACTIVATE,
    ),
    (
        "The vendor keeps one from the metadata, 'activate now' was pressed, and the new one signs.",
        lambda r: r.pressed and r.mode == "metadata_single" and r.old is not None and r.removable,
        RolloverStep.RETIRE,
    ),
    (
        "There is no new one, the old one has not ended, and the vendor does not mind a second in the metadata.",
        lambda r: r.new is None and not r.ended and r.mode != "metadata_single",
        RolloverStep.ADD,
    ),
    ("Nobody was told of what is there now.", lambda r: not r.told, RolloverStep.ANNOUNCE),
    (
        "The old certificate is compromised and still there.",
        lambda r: r.compromised and r.old is not None and r.removable,
        RolloverStep.RETIRE,
    ),
    (
        "The new one does not sign, and the vendor keeps all from the metadata and has read it twice since.",
        lambda r: not r.signs and r.needs_nobody and r.polled is not None and r.now >= r.polled,
        RolloverStep.ACTIVATE,
    ),
    (
        "The new one does not sign and is acknowledged.",
        lambda r: not r.signs and r.acknowledged is not None,
        RolloverStep.ACTIVATE,
    ),
    (
        "The new one signs, the vendor has it, and the old one is removed or not ours to remove.",
        lambda r: r.signs and r.over is not None and (r.old is None or not r.removable),
        RolloverStep.DONE,
    ),
    (
        "The new one signs, the vendor has it, and the overlap is over.",
        lambda r: r.signs and r.over is not None and r.now >= r.over,
        RolloverStep.RETIRE,
    ),
    (
        "The new one signs, the vendor has it, and the overlap runs.",
        lambda r: r.signs and r.over is not None,
        RolloverStep.WAIT_OVERLAP,
    ),
    (
        "The new one does not sign, the old one ends within 14 days, and the owner was not warned.",
        lambda r: not r.signs and r.old is not None and r.now < r.old.ends <= r.now + WARN_BEFORE and not r.warned,
        RolloverStep.WARN,
    ),
    (
        "The new one does not sign, and the vendor keeps all from the metadata.",
        lambda r: not r.signs and r.needs_nobody and r.new is not None,
        RolloverStep.WAIT_POLL,
    ),
    (
        "The vendor has not acted, and the last mail is older than the interval of reminders.",
        lambda r: r.remind_at is not None and r.now >= r.remind_at,
        RolloverStep.REMIND,
    ),
    ("The vendor has not acted: the old certificate stays.", lambda _: True, RolloverStep.WAIT_VENDOR),
)


def next_rollover_step(rollover: Rollover) -> RolloverStep:
    """Decide what a rollover needs next: the first row of the table whose condition holds."""
    return next(step for _, holds, step in ROLLOVER_TABLE if holds(rollover))


def wake(rollover: Rollover) -> datetime:
    """When a rollover that waits has something to do again."""
    if rollover.signs and rollover.over:
        return rollover.over
    moments = [rollover.remind_at or rollover.now + LOOK_AGAIN]
    if rollover.needs_nobody and rollover.polled:
        moments = [rollover.polled]
    if rollover.old and not rollover.signs and not rollover.warned and rollover.old.ends > rollover.now:
        moments.append(rollover.old.ends - WARN_BEFORE)
    return max(min(moments), rollover.now)
