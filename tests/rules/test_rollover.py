"""The signing certificate's state machine, as far as the first one goes."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from sso.model import ClientId, ObjectId, ServicePrincipal, Thumbprint, TokenSigningCertificate, key_of
from sso.rollover import CertificateStep, active, next_step, subject

NOW = datetime(2026, 9, 1, 8, 30, tzinfo=UTC)
KEY = key_of("clicktime", "default")


def certificate(thumbprint: str, name: str = subject(KEY), *, age: int = 1) -> TokenSigningCertificate:
    """A signing certificate that began some days ago."""
    starts = NOW - timedelta(days=age)
    return TokenSigningCertificate(Thumbprint(thumbprint), name, starts, starts + timedelta(days=1095), b"")


def service_principal(*certificates: TokenSigningCertificate, signs: str | None = None) -> ServicePrincipal:
    """A service principal with these certificates, one of which may be active."""
    return ServicePrincipal(
        object_id=ObjectId("service principal"),
        client_id=ClientId("client"),
        enabled=True,
        tags=(),
        sign_on_mode="saml",
        sign_on_url=None,
        logout_url=None,
        relay_state=None,
        assignment_required=True,
        notification_addresses=(),
        active_thumbprint=Thumbprint(signs) if signs else None,
        certificates=certificates,
        app_roles=(),
    )


@dataclass(frozen=True)
class Case:
    """What the service principal holds, and what comes next."""

    found: ServicePrincipal | None
    step: CertificateStep
    thumbprint: str | None = None


CASES: Mapping[str, Case] = {
    "no service principal yet: one will be added": Case(None, CertificateStep.ADD),
    "no certificate: one is added": Case(service_principal(), CertificateStep.ADD),
    "ours is there and none is active: a lost answer's, it is activated": Case(
        service_principal(certificate("A")), CertificateStep.ACTIVATE, "A"
    ),
    "two of ours and none is active: the younger is activated": Case(
        service_principal(certificate("A", age=3), certificate("B", age=1)), CertificateStep.ACTIVATE, "B"
    ),
    "ours is active: nothing is left": Case(service_principal(certificate("A"), signs="A"), CertificateStep.NOTHING),
    "somebody else's is active: it stays and is used": Case(
        service_principal(certificate("X", "CN=Microsoft Azure Federated SSO Certificate"), signs="X"),
        CertificateStep.NOTHING,
    ),
    "somebody else's is inactive: ours is added beside it": Case(
        service_principal(certificate("X", "CN=made by hand")), CertificateStep.ADD
    ),
    "another instance's name that begins like ours: it is somebody else's": Case(
        service_principal(certificate("X", f"{subject(KEY)}-emea")), CertificateStep.ADD
    ),
    "the active thumbprint names a certificate that is gone: ours is activated": Case(
        service_principal(certificate("A"), signs="GONE"), CertificateStep.ACTIVATE, "A"
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_next_step(case: Case) -> None:
    """The next step follows from what the service principal holds."""
    decision = next_step(KEY, case.found)
    assert (decision.step, decision.thumbprint) == (case.step, case.thumbprint)


def test_certificate_is_named_as_graph_wants_it() -> None:
    """The name begins with CN= and is our marker."""
    assert subject(KEY) == "CN=gatehouse-clicktime-default"


def test_active_certificate_is_the_one_that_the_service_principal_names() -> None:
    """Not the youngest, not the first: the one with the preferred thumbprint."""
    found = service_principal(certificate("A", age=9), certificate("B"), certificate("C", age=5), signs="C")
    signing = active(found)
    assert signing is not None
    assert signing.thumbprint == "C"
