"""The checks of a SAML service provider: a response is believed only as far as its signature reaches.

SAML 2.0 profiles section 4.1.4.3, for the Web Browser single sign-on profile.
"""

import base64
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from cryptography import x509
from lxml import etree
from signxml.algorithms import DigestAlgorithm, SignatureMethod
from signxml.exceptions import SignXMLException
from signxml.verifier import SignatureConfiguration, XMLVerifier

from sandbox.relying_parties.side import AdmissionError

NAMES = {
    "samlp": "urn:oasis:names:tc:SAML:2.0:protocol",
    "saml": "urn:oasis:names:tc:SAML:2.0:assertion",
    "ds": "http://www.w3.org/2000/09/xmldsig#",
}
ASSERTION = f"{{{NAMES['saml']}}}Assertion"
SUCCESS = "urn:oasis:names:tc:SAML:2.0:status:Success"
# Clocks differ by a little; what real service providers allow.
SKEW = timedelta(minutes=3)


@dataclass(frozen=True)
class Expected:
    """What a service provider holds a response against."""

    certificates: tuple[x509.Certificate, ...]
    audience: str
    reply_urls: Collection[str]
    issuer: str | None
    """None where the vendor was never told the identity provider's name."""


@dataclass(frozen=True)
class Accepted:
    """A person, as a verified assertion names them."""

    name_id: str
    claims: dict[str, Any]
    in_response_to: str | None


def accept_response(encoded: str, expected: Expected, now: datetime) -> Accepted:
    """The person of a good response; raises `AdmissionError` with the first thing that is wrong."""
    response = _parsed(encoded)
    status = response.find("samlp:Status/samlp:StatusCode", NAMES)
    if status is None or status.get("Value") != SUCCESS:
        raise AdmissionError("The identity provider's response does not say Success.")
    if response.get("Destination") not in expected.reply_urls:
        raise AdmissionError(f"The response is for {response.get('Destination')}, which is not our reply URL.")
    assertion = _signed_assertion(response, expected.certificates, now)
    issuer = _text(assertion, "saml:Issuer")
    if expected.issuer is not None and issuer != expected.issuer:
        raise AdmissionError(f"Expected an assertion of {expected.issuer}, found one of {issuer}.")
    _check_conditions(assertion, expected.audience, now)
    in_response_to = _check_subject(assertion, expected.reply_urls, now)
    name_id = _text(assertion, "saml:Subject/saml:NameID")
    claims: dict[str, Any] = {"NameID": name_id}
    for attribute in assertion.iterfind("saml:AttributeStatement/saml:Attribute", NAMES):
        values = [value.text or "" for value in attribute.iterfind("saml:AttributeValue", NAMES)]
        claims[str(attribute.get("Name"))] = values[0] if len(values) == 1 else values
    return Accepted(name_id, claims, in_response_to)


def read_certificate(text: str) -> x509.Certificate:
    """The certificate of a PEM text, or of base64 without armour; raises ValueError."""
    if "-----BEGIN" in text:
        return x509.load_pem_x509_certificate(text.strip().encode())
    return x509.load_der_x509_certificate(base64.b64decode("".join(text.split()), validate=True))


def hardened_parser() -> etree.XMLParser:
    """A parser that resolves and fetches nothing."""
    return etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)


def _parsed(encoded: str) -> etree._Element:
    try:
        response = etree.fromstring(base64.b64decode(encoded, validate=True), hardened_parser())
    except (ValueError, etree.XMLSyntaxError) as problem:
        raise AdmissionError("What came is not a SAML response.") from problem
    if response.tag != f"{{{NAMES['samlp']}}}Response" or len(response.findall("saml:Assertion", NAMES)) != 1:
        raise AdmissionError("Expected a SAML response with one assertion.")
    return response


def _signed_assertion(
    response: etree._Element, certificates: Iterable[x509.Certificate], now: datetime
) -> etree._Element:
    """The assertion exactly as it was signed, so that nothing wrapped around it is read."""
    expectation = SignatureConfiguration(
        location="./saml:Assertion/".replace("saml:", f"{{{NAMES['saml']}}}"),
        signature_methods=frozenset({SignatureMethod.RSA_SHA256}),
        digest_algorithms=frozenset({DigestAlgorithm.SHA256}),
        verification_time=now,
    )
    for certificate in certificates:
        if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
            continue
        try:
            result = XMLVerifier().verify(response, x509_cert=certificate, expect_config=expectation)
        except (SignXMLException, ValueError):
            continue
        signed = result[0].signed_xml if isinstance(result, list) else result.signed_xml
        if signed is not None and signed.tag == ASSERTION:
            return signed
    raise AdmissionError("The assertion is not signed with a certificate that we were given and that is valid now.")


def _check_conditions(assertion: etree._Element, audience: str, now: datetime) -> None:
    conditions = assertion.find("saml:Conditions", NAMES)
    if conditions is None or not _instant(conditions, "NotBefore") - SKEW <= now < _instant(conditions, "NotOnOrAfter"):
        raise AdmissionError("The assertion is not valid at this time.")
    found = [each.text for each in conditions.iterfind("saml:AudienceRestriction/saml:Audience", NAMES)]
    if audience not in found:
        raise AdmissionError(f"Expected the audience {audience}, found {found}.")


def _check_subject(assertion: etree._Element, reply_urls: Collection[str], now: datetime) -> str | None:
    for data in assertion.iterfind("saml:Subject/saml:SubjectConfirmation/saml:SubjectConfirmationData", NAMES):
        if data.get("Recipient") in reply_urls and now < _instant(data, "NotOnOrAfter"):
            return data.get("InResponseTo")
    raise AdmissionError("The assertion is not confirmed for our reply URL.")


def _text(element: etree._Element, path: str) -> str:
    return (element.findtext(path, default="", namespaces=NAMES) or "").strip()


def _instant(element: etree._Element, name: str) -> datetime:
    try:
        return datetime.fromisoformat(str(element.get(name)))
    except ValueError as problem:
        raise AdmissionError(f"The assertion has no readable {name}.") from problem
