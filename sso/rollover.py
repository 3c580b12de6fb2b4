"""The signing certificate's state machine, as far as the first one goes: add, activate."""

from dataclasses import dataclass
from enum import Enum

from sso.model import Key, ServicePrincipal, Thumbprint, TokenSigningCertificate


class CertificateStep(Enum):
    """What a signing certificate needs next."""

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


def next_step(key: Key, service_principal: ServicePrincipal | None) -> CertificateDecision:
    """Decide the next step of the first certificate.

    One of ours that is not active while none is, is a lost answer's and is used (design: SAML order).
    """
    if service_principal is None:
        return CertificateDecision(CertificateStep.ADD)
    if active(service_principal):
        return CertificateDecision(CertificateStep.NOTHING)
    ours = [c for c in service_principal.certificates if c.display_name == subject(key)]
    newest = max(ours, key=lambda certificate: certificate.starts, default=None)
    if newest:
        return CertificateDecision(CertificateStep.ACTIVATE, newest.thumbprint)
    return CertificateDecision(CertificateStep.ADD)
