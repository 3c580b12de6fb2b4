"""The identity provider's SAML documents: requests read, responses and federation metadata signed.

Shapes: SAML 2.0 core and metadata, as in learn.microsoft.com/entra/identity-platform/single-sign-on-saml-protocol.
"""

import base64
import secrets
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree
from signxml.algorithms import CanonicalizationMethod
from signxml.signer import XMLSigner

from sandbox.aadsts import SignInError

PROTOCOL = "urn:oasis:names:tc:SAML:2.0:protocol"
ASSERTION = "urn:oasis:names:tc:SAML:2.0:assertion"
METADATA = "urn:oasis:names:tc:SAML:2.0:metadata"
SIGNATURE = "http://www.w3.org/2000/09/xmldsig#"
FEDERATION = "http://docs.oasis-open.org/wsfed/federation/200706"
INSTANCE = "http://www.w3.org/2001/XMLSchema-instance"
EMAIL_ADDRESS = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"
BEARER = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
REDIRECT_BINDING = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"
POST_BINDING = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"

# A request of a few hundred bytes; what inflates to more is not one.
LARGEST_REQUEST = 64 * 1024

SigningKey = tuple[rsa.RSAPrivateKey, x509.Certificate]

# A prefix for each namespace, none (the default one) for assertions and metadata, as Entra writes them.
# `Any`: lxml takes None here, its stubs do not say so.
PREFIXES: dict[str, Any] = {PROTOCOL: "samlp", ASSERTION: None, METADATA: None, SIGNATURE: "ds"}


@dataclass(frozen=True)
class AuthnRequest:
    """What a relying party asked for."""

    id: str
    issuer: str
    reply_url: str | None


@dataclass(frozen=True)
class Assertion:
    """What a response says, and to whom."""

    issuer: str
    audience: str
    reply_url: str
    in_response_to: str | None
    name_id: str
    attributes: Mapping[str, Iterable[str]]


def read_authn_request(encoded: str, *, deflated: bool) -> AuthnRequest:
    """The request of a Redirect (deflated) or POST binding; anything else is AADSTS75005."""
    try:
        raw = base64.b64decode(encoded, validate=True)
        if deflated:
            raw = zlib.decompressobj(-15).decompress(raw, LARGEST_REQUEST)
        parser = etree.XMLParser(resolve_entities=False, no_network=True, dtd_validation=False, load_dtd=False)
        root = etree.fromstring(raw, parser)
    except (ValueError, zlib.error, etree.XMLSyntaxError):
        raise SignInError(75005) from None
    issuer = root.findtext(f"{{{ASSERTION}}}Issuer")
    identifier = root.get("ID")
    if root.tag != f"{{{PROTOCOL}}}AuthnRequest" or not issuer or not identifier:
        raise SignInError(75005)
    return AuthnRequest(identifier, issuer.strip(), root.get("AssertionConsumerServiceURL"))


def signed_response(assertion: Assertion, key: SigningKey, now: datetime) -> str:
    """The base64 of a response whose assertion is signed (RSA-SHA256) and valid from five minutes ago for an hour."""
    response = _element(
        PROTOCOL, "Response", ID=_new_id(), Version="2.0", IssueInstant=_instant(now), Destination=assertion.reply_url
    )
    if assertion.in_response_to:
        response.set("InResponseTo", assertion.in_response_to)
    status = _element(PROTOCOL, "StatusCode", Value="urn:oasis:names:tc:SAML:2.0:status:Success")
    response.append(_element(ASSERTION, "Issuer", assertion.issuer))
    response.append(_element(PROTOCOL, "Status", status))
    response.append(_signed(_assertion(assertion, now), key))
    return base64.b64encode(etree.tostring(response)).decode()


def federation_metadata(
    entity_id: str, sign_on_url: str, certificates: Iterable[x509.Certificate], key: SigningKey
) -> bytes:
    """The signed description of the identity provider, with every certificate that may sign for it."""
    listed = list(certificates)
    # Entra lists the keys again for WS-Federation: a reader must look under IDPSSODescriptor, not anywhere.
    token_service = etree.Element(
        f"{{{METADATA}}}RoleDescriptor",
        {f"{{{INSTANCE}}}type": "fed:SecurityTokenServiceType", "protocolSupportEnumeration": FEDERATION},
        nsmap={PREFIXES[METADATA]: METADATA, "xsi": INSTANCE, "fed": FEDERATION},
    )
    token_service.extend([_key_descriptor(certificate) for certificate in listed])
    identity_provider = _element(
        METADATA,
        "IDPSSODescriptor",
        *(_key_descriptor(certificate) for certificate in listed),
        _element(METADATA, "SingleLogoutService", Binding=REDIRECT_BINDING, Location=sign_on_url),
        _element(METADATA, "SingleSignOnService", Binding=REDIRECT_BINDING, Location=sign_on_url),
        _element(METADATA, "SingleSignOnService", Binding=POST_BINDING, Location=sign_on_url),
        protocolSupportEnumeration=PROTOCOL,
    )
    # SAML metadata section 2.3.2: the signature is the entity's first child.
    children = (_placeholder(), token_service, identity_provider)
    entity = _element(METADATA, "EntityDescriptor", *children, ID=_new_id(), entityID=entity_id)
    return etree.tostring(_signed(entity, key), xml_declaration=True, encoding="utf-8")


def _assertion(content: Assertion, now: datetime) -> etree._Element:
    starts, ends = _instant(now - timedelta(minutes=5)), _instant(now + timedelta(hours=1))
    identifier = _new_id()
    confirmation = _element(ASSERTION, "SubjectConfirmationData", NotOnOrAfter=ends, Recipient=content.reply_url)
    if content.in_response_to:
        confirmation.set("InResponseTo", content.in_response_to)
    subject = _element(
        ASSERTION,
        "Subject",
        _element(ASSERTION, "NameID", content.name_id, Format=EMAIL_ADDRESS),
        _element(ASSERTION, "SubjectConfirmation", confirmation, Method=BEARER),
    )
    audience = _element(ASSERTION, "AudienceRestriction", _element(ASSERTION, "Audience", content.audience))
    attributes = (
        _element(ASSERTION, "Attribute", *(_element(ASSERTION, "AttributeValue", value) for value in values), Name=name)
        for name, values in content.attributes.items()
    )
    context = _element(ASSERTION, "AuthnContextClassRef", "urn:oasis:names:tc:SAML:2.0:ac:classes:Password")
    return _element(
        ASSERTION,
        "Assertion",
        _element(ASSERTION, "Issuer", content.issuer),
        _placeholder(),
        subject,
        _element(ASSERTION, "Conditions", audience, NotBefore=starts, NotOnOrAfter=ends),
        _element(ASSERTION, "AttributeStatement", *attributes),
        _element(
            ASSERTION,
            "AuthnStatement",
            _element(ASSERTION, "AuthnContext", context),
            AuthnInstant=_instant(now),
            SessionIndex=identifier,
        ),
        ID=identifier,
        IssueInstant=_instant(now),
        Version="2.0",
    )


def _signed(element: etree._Element, key: SigningKey) -> etree._Element:
    private_key, certificate = key
    signer = XMLSigner(c14n_algorithm=CanonicalizationMethod.EXCLUSIVE_XML_CANONICALIZATION_1_0)
    return signer.sign(element, key=private_key, cert=[certificate], reference_uri=f"#{element.get('ID')}")


def _placeholder() -> etree._Element:
    # signxml puts the signature where it finds an empty one with this Id.
    return _element(SIGNATURE, "Signature", Id="placeholder")


def _key_descriptor(certificate: x509.Certificate) -> etree._Element:
    der = base64.b64encode(certificate.public_bytes(Encoding.DER)).decode()
    data = _element(SIGNATURE, "X509Data", _element(SIGNATURE, "X509Certificate", der))
    return _element(METADATA, "KeyDescriptor", _element(SIGNATURE, "KeyInfo", data), use="signing")


def _element(namespace: str, name: str, *content: etree._Element | str, **attributes: str) -> etree._Element:
    element = etree.Element(f"{{{namespace}}}{name}", attributes, nsmap={PREFIXES[namespace]: namespace})
    for part in content:
        if isinstance(part, str):
            element.text = part
        else:
            element.append(part)
    return element


def _new_id() -> str:
    # An XML ID must not begin with a digit.
    return f"_{secrets.token_hex(16)}"


def _instant(time: datetime) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%S}.{time.microsecond // 1000:03d}Z"
