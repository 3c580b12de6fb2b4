"""A pinned S/MIME certificate: which ones a profile may hold, and what is said of every other."""

from datetime import timedelta
from typing import Any

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.vendors.pinned import STARTS, vendor
from tests.vendors.samples import OIDC, SAML, changed, toml
from tests.vendors.test_parsing import problems_of
from vendors.parsing import ProfileError, parse_profile
from vendors.slug import VendorSlug

CONTACT = "support@paperweight.example"
SLUG = VendorSlug("paperweight")
WHERE = "handoff.smime.certificate"


def pinning(certificate: object, sample: dict[str, Any] = OIDC) -> dict[str, Any]:
    """A sample whose hand-off pins a certificate."""
    return changed(sample, ("handoff", "smime"), {"certificate": certificate})


@pytest.mark.parametrize(
    "good",
    [
        vendor(CONTACT),
        vendor("other@paperweight.example", "Support@Paperweight.Example"),
        vendor(subject=CONTACT),
        vendor(CONTACT, encipherment=None, purposes=None),
        vendor(CONTACT, key="rsa 3072"),
        vendor(CONTACT, days=1),
    ],
    ids=["plain", "one of two", "in the subject", "without extensions", "a longer key", "long ended"],
)
def test_a_vendors_certificate_is_taken(good: Any) -> None:
    """An RSA certificate of the contact is pinned, with its dates, whatever the time is."""
    smime = parse_profile(SLUG, toml(pinning(good.certificate))).handoff.smime
    assert smime is not None
    assert smime.pinned.pem == good.certificate
    assert smime.pinned.starts == STARTS
    assert len(smime.pinned.thumbprint) == 64


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (vendor(CONTACT, key="rsa 1024"), "1024 bits"),
        (vendor(CONTACT, key="ec"), "RSA key"),
        (vendor("other@paperweight.example"), "names other@paperweight.example"),
        (vendor(), "names no address"),
        (vendor(f"{CONTACT}.evil.example"), "is not that of contact"),
        (vendor(CONTACT, encipherment=False), "keyEncipherment"),
        (vendor(CONTACT, purposes=(ExtendedKeyUsageOID.SERVER_AUTH,)), "emailProtection"),
    ],
    ids=["small", "elliptic", "another address", "no address", "a longer address", "signing only", "for servers"],
)
def test_a_certificate_that_does_not_fit_is_refused(bad: Any, words: str) -> None:
    """Each thing that is wrong with it is said at its key path, with what to ask the vendor for."""
    problems = problems_of(pinning(bad.certificate))
    assert list(problems) == [WHERE]
    assert words in problems[WHERE]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "MIIB",
        vendor(CONTACT).certificate * 2,
        vendor(CONTACT).certificate.replace("MII", "AAA"),
        vendor(CONTACT).certificate[:200],
        7,
    ],
    ids=["empty", "no armour", "two", "broken", "cut", "a number"],
)
def test_what_is_no_certificate_is_refused(text: object) -> None:
    """Anything but one whole certificate is one problem of this field, and the rest of the file is still read."""
    assert list(problems_of(pinning(text))) == [WHERE]


def test_a_private_key_is_refused_and_not_repeated() -> None:
    """Whoever pastes the key too is told to throw it away, and the message holds none of it."""
    owner = vendor(CONTACT)
    with pytest.raises(ProfileError) as caught:
        parse_profile(SLUG, toml(pinning(owner.key + owner.certificate)))
    assert "holds a private key" in str(caught.value)
    assert not [line for line in owner.key.splitlines() if len(line) > 30 and line[:30] in str(caught.value)]


def test_pinning_goes_with_a_vendor_a_secret_and_no_plain_mail() -> None:
    """It is refused beside `plain`, for our own administrator, and where no secret is delivered."""
    good = vendor(CONTACT).certificate
    plain = changed(pinning(good), ("handoff", "plain"), True)
    assert "exclude each other" in problems_of(plain)["handoff.smime"]
    said = problems_of(pinning(good, SAML))["handoff.smime"]
    assert "vendor's contact" in said
    assert "no client_secret is delivered" in said


def test_the_dates_are_judged_by_whoever_has_a_clock() -> None:
    """Before its first and from its last moment on a certificate has a problem, in between none."""
    smime = parse_profile(SLUG, toml(pinning(vendor(CONTACT, days=10).certificate))).handoff.smime
    assert smime is not None
    problems = [smime.pinned.problem_at(STARTS + timedelta(days=days)) for days in (-1, 0, 9, 10)]
    assert problems == ["is not valid before 2026-01-01", None, None, "ended on 2026-01-11"]
