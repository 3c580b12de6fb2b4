"""SAML: what the identity provider signs, what it publishes, and what a service provider must refuse."""

import base64
import re
import zlib
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from html import unescape
from typing import NamedTuple
from urllib.parse import urlencode

import minisaml.request
import minisaml.response
import pytest
from cryptography import x509
from lxml import etree
from signxml.verifier import XMLVerifier

from sandbox.certificates import SigningPair
from sandbox.relying_parties.service_provider import Accepted, Expected, accept_response
from sandbox.relying_parties.side import AdmissionError
from sandbox.user_agent import USER_HEADER
from sandbox.wire import Reply
from tests.sandbox.hand_made import SIMON, UNASSIGNED, HandMadeTenant, Made, hand_made_tenant

IDENTIFIER = "https://vendor.example/sp/"
REPLY_URL = "https://vendor.example/acs"
SECOND_REPLY_URL = "https://vendor.example/acs2"
NAMES = {"md": "urn:oasis:names:tc:SAML:2.0:metadata", "ds": "http://www.w3.org/2000/09/xmldsig#"}


class Vendor(NamedTuple):
    """A SAML application and its active certificate."""

    made: Made
    pair: SigningPair


@pytest.fixture(scope="module")
async def contoso(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[HandMadeTenant]:
    """One tenant for the whole file."""
    async with hand_made_tenant(tmp_path_factory.mktemp("authority")) as made:
        yield made


@pytest.fixture
def vendor(contoso: HandMadeTenant) -> Vendor:
    """An application that B.Simon may sign in to; the only one with its identifier."""
    contoso.tenant.clock.reset()
    contoso.tenant.directory.applications.clear()
    made = contoso.add("Vendor", reply_urls=(REPLY_URL, SECOND_REPLY_URL), identifiers=(IDENTIFIER,))
    contoso.assign(made, contoso.user_id())
    # Two days old, so that a clock set back by an hour meets a valid certificate.
    return Vendor(made, contoso.add_certificate(made, starts=contoso.tenant.clock.now() - timedelta(days=2)))


def request_query(issuer: str = IDENTIFIER, reply_url: str | None = None, **more: str) -> str:
    """The query of a Redirect binding."""
    address = f' AssertionConsumerServiceURL="{reply_url}"' if reply_url else ""
    document = (
        '<samlp:AuthnRequest xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" ID="_r1" Version="2.0"'
        f'{address}><Issuer xmlns="urn:oasis:names:tc:SAML:2.0:assertion">{issuer}</Issuer></samlp:AuthnRequest>'
    )
    deflater = zlib.compressobj(wbits=-15)
    deflated = deflater.compress(document.encode()) + deflater.flush()
    return urlencode({"SAMLRequest": base64.b64encode(deflated).decode(), **more})


async def ask(contoso: HandMadeTenant, query: str, user: str = SIMON) -> Reply:
    """One visit to the SAML endpoint."""
    return await contoso.wire.get(f"{contoso.root}/saml2?{query}", {USER_HEADER: user})


async def launch(contoso: HandMadeTenant, made: Made, user: str = SIMON) -> Reply:
    """One click on the tile."""
    tenant_id = contoso.tenant.directory.tenant_id
    url = f"{contoso.tenant.urls.authority}/api/signin/{made.client_id}?tenantId={tenant_id}"
    return await contoso.wire.get(url, {USER_HEADER: user})


def posted(reply: Reply) -> dict[str, str]:
    """The form that submits itself, its target under `action`."""
    fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', reply.text))
    (fields["action"],) = re.findall(r'action="([^"]*)"', reply.text)
    return {name: unescape(value) for name, value in fields.items()}


def accept(contoso: HandMadeTenant, encoded: str, pair: SigningPair, **changed: str) -> Accepted:
    """What a service provider with this certificate makes of a response."""
    expected = Expected(
        (pair.certificate,),
        changed.get("audience", IDENTIFIER),
        (changed.get("reply_url", REPLY_URL),),
        changed.get("issuer", f"https://sts.windows.net/{contoso.tenant.directory.tenant_id}/"),
    )
    return accept_response(encoded, expected, contoso.tenant.clock.now())


async def metadata(contoso: HandMadeTenant, made: Made | None = None) -> etree._Element:
    """The published metadata."""
    query = f"?appid={made.client_id}" if made else ""
    reply = await contoso.wire.get(f"{contoso.root}/federationmetadata/2007-06/federationmetadata.xml{query}")
    assert reply.status == 200
    return etree.fromstring(reply.text.encode())


def listed_certificates(document: etree._Element) -> list[x509.Certificate]:
    """The certificates under IDPSSODescriptor."""
    found = document.iterfind("md:IDPSSODescriptor/md:KeyDescriptor//ds:X509Certificate", NAMES)
    return [x509.load_der_x509_certificate(base64.b64decode(str(each.text))) for each in found]


async def test_metadata_lists_every_certificate_active_or_not(contoso: HandMadeTenant) -> None:
    """Before the first certificate the tenant's key stands there, then all of the application's own."""
    made = contoso.add("Published", identifiers=("https://published.example/",))
    tenant_certificate = contoso.tenant.directory.tenant_signing_certificate[1]
    assert listed_certificates(await metadata(contoso)) == [tenant_certificate]
    assert listed_certificates(await metadata(contoso, made)) == [tenant_certificate]
    first = contoso.add_certificate(made, active=False)
    assert listed_certificates(await metadata(contoso, made)) == [first.certificate]
    second = contoso.add_certificate(made)
    assert listed_certificates(await metadata(contoso, made)) == [first.certificate, second.certificate]
    assert listed_certificates(await metadata(contoso)) == [tenant_certificate]


async def test_metadata_is_signed_and_names_the_identity_provider(contoso: HandMadeTenant, vendor: Vendor) -> None:
    """The signature covers the whole entity, whose ID and addresses are the tenant's."""
    document = await metadata(contoso, vendor.made)
    result = XMLVerifier().verify(document, x509_cert=vendor.pair.certificate)
    assert not isinstance(result, list)
    assert result.signed_xml is not None
    assert result.signed_xml.get("entityID") == f"https://sts.windows.net/{contoso.tenant.directory.tenant_id}/"
    services = document.findall("md:IDPSSODescriptor/md:SingleSignOnService", NAMES)
    assert {service.get("Location") for service in services} == {f"{contoso.root}/saml2"}


async def test_metadata_of_an_unknown_application_is_refused(contoso: HandMadeTenant) -> None:
    """An appid that the tenant does not have is AADSTS700016."""
    reply = await contoso.wire.get(f"{contoso.root}/federationmetadata/2007-06/federationmetadata.xml?appid=nobody")
    assert (reply.status, "AADSTS700016" in reply.text) == (400, True)


async def test_a_request_is_answered_with_a_signed_response(contoso: HandMadeTenant, vendor: Vendor) -> None:
    """The response answers the request, carries its relay state and names the person."""
    form = posted(await ask(contoso, request_query(RelayState="https://vendor.example/?a=1&b=2")))
    assert form["action"] == REPLY_URL
    assert form["RelayState"] == "https://vendor.example/?a=1&b=2"
    accepted = accept(contoso, form["SAMLResponse"], vendor.pair)
    assert (accepted.name_id, accepted.in_response_to) == (SIMON, "_r1")
    person = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims"
    identity = "http://schemas.microsoft.com/identity/claims"
    expected = {
        f"{person}/name": SIMON,
        f"{person}/emailaddress": SIMON,
        f"{person}/givenname": "Britta",
        f"{person}/surname": "Simon",
        f"{identity}/objectidentifier": contoso.user_id(),
        f"{identity}/tenantid": contoso.tenant.directory.tenant_id,
    }
    assert expected.items() <= accepted.claims.items()


async def test_an_unmodified_library_completes_a_sign_in(contoso: HandMadeTenant, vendor: Vendor) -> None:
    """A SAML library that is not ours asks, reads the certificates from the metadata and accepts the response."""
    url = minisaml.request.get_request_redirect_url(
        saml_endpoint=f"{contoso.root}/saml2",
        expected_audience=IDENTIFIER,
        acs_url=SECOND_REPLY_URL,
        request_id="_r9",
        relay_state="deep/link",
    )
    form = posted(await contoso.wire.get(str(url), {USER_HEADER: SIMON}))
    assert (form["action"], form["RelayState"]) == (SECOND_REPLY_URL, "deep/link")
    response = minisaml.response.validate_response(
        data=form["SAMLResponse"],
        certificate=listed_certificates(await metadata(contoso, vendor.made)),
        expected_audience=IDENTIFIER,
        idp_issuer=f"https://sts.windows.net/{contoso.tenant.directory.tenant_id}/",
    )
    assert (response.name_id, response.in_response_to) == (SIMON, "_r9")
    assert response.attrs["http://schemas.xmlsoap.org/ws/2005/05/identity/claims/givenname"] == "Britta"


async def test_the_post_binding_is_read_as_well(contoso: HandMadeTenant, vendor: Vendor) -> None:
    """A request that is posted is not deflated."""
    document = (
        '<samlp:AuthnRequest xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" ID="_p1" Version="2.0">'
        f'<Issuer xmlns="urn:oasis:names:tc:SAML:2.0:assertion">{IDENTIFIER}</Issuer></samlp:AuthnRequest>'
    )
    encoded = base64.b64encode(document.encode()).decode()
    reply = await contoso.wire.post(f"{contoso.root}/saml2", {"SAMLRequest": encoded}, {USER_HEADER: SIMON})
    assert accept(contoso, posted(reply)["SAMLResponse"], vendor.pair).in_response_to == "_p1"


async def test_the_reply_url_is_a_registered_one(contoso: HandMadeTenant, vendor: Vendor) -> None:
    """The requested one where it is registered, the first by index otherwise, never another one."""
    form = posted(await ask(contoso, request_query(reply_url=SECOND_REPLY_URL)))
    assert form["action"] == SECOND_REPLY_URL
    assert "AADSTS50011" in (await ask(contoso, request_query(reply_url="https://evil.example/acs"))).text
    settings = [{"uri": REPLY_URL, "index": 1}, {"uri": SECOND_REPLY_URL, "index": 0}]
    vendor.made.application["web"]["redirectUriSettings"] = settings
    assert posted(await ask(contoso, request_query()))["action"] == SECOND_REPLY_URL


async def test_the_tile_leads_in_without_a_request(contoso: HandMadeTenant, vendor: Vendor) -> None:
    """Without a sign-on URL the tile posts an unsolicited response with the configured relay state."""
    vendor.made.service_principal["samlSingleSignOnSettings"] = {"relayState": "/home"}
    form = posted(await launch(contoso, vendor.made))
    assert (form["action"], form["RelayState"]) == (REPLY_URL, "/home")
    assert accept(contoso, form["SAMLResponse"], vendor.pair).in_response_to is None


async def test_the_tile_of_an_application_with_a_sign_on_url_leads_there(
    contoso: HandMadeTenant, vendor: Vendor
) -> None:
    """The browser is sent to the vendor, which then asks."""
    vendor.made.service_principal["loginUrl"] = "https://vendor.example/login"
    assert (await launch(contoso, vendor.made)).location == "https://vendor.example/login"


async def test_only_the_active_certificate_signs(contoso: HandMadeTenant, vendor: Vendor) -> None:
    """A second certificate signs nothing until its thumbprint is the preferred one, then it alone does."""
    second = contoso.add_certificate(vendor.made, active=False)
    encoded = posted(await ask(contoso, request_query()))["SAMLResponse"]
    assert accept(contoso, encoded, vendor.pair).name_id == SIMON
    with pytest.raises(AdmissionError, match="not signed"):
        accept(contoso, encoded, second)
    vendor.made.service_principal["preferredTokenSigningKeyThumbprint"] = second.thumbprint
    encoded = posted(await ask(contoso, request_query()))["SAMLResponse"]
    assert accept(contoso, encoded, second).name_id == SIMON


async def test_without_an_active_certificate_nobody_signs_in(contoso: HandMadeTenant, vendor: Vendor) -> None:
    """A certificate that was added and not activated is none."""
    vendor.made.service_principal["preferredTokenSigningKeyThumbprint"] = None
    assert "AADSTS500031" in (await ask(contoso, request_query())).text


@pytest.mark.parametrize(
    ("query", "user", "code"),
    [
        (request_query(), UNASSIGNED, 50105),
        (request_query("https://unknown.example/"), SIMON, 700016),
        (request_query(), "nobody@contoso.com", 50034),
        ("", SIMON, 750054),
        ("SAMLRequest=%21%21", SIMON, 75005),
        (urlencode({"SAMLRequest": base64.b64encode(b"not deflated").decode()}), SIMON, 75005),
        (urlencode({"SAMLRequest": base64.b64encode(zlib.compress(b"<a/>")[2:-4]).decode()}), SIMON, 75005),
    ],
)
@pytest.mark.usefixtures("vendor")
async def test_a_sign_in_is_refused_on_a_page(contoso: HandMadeTenant, query: str, user: str, code: int) -> None:
    """A refusal is Entra's page, without any form."""
    reply = await ask(contoso, query, user)
    assert f"AADSTS{code}: " in reply.text
    assert "SAMLResponse" not in re.findall(r'name="(\w+)"', reply.text)


@pytest.mark.parametrize("hours", [-1, 2])
async def test_a_response_is_good_for_an_hour(contoso: HandMadeTenant, vendor: Vendor, hours: int) -> None:
    """By the sandbox clock, before its time and after it a response is refused."""
    encoded = posted(await ask(contoso, request_query()))["SAMLResponse"]
    contoso.tenant.clock.set(contoso.tenant.clock.now() + timedelta(hours=hours))
    with pytest.raises(AdmissionError, match="not valid at this time"):
        accept(contoso, encoded, vendor.pair)


async def test_an_expired_certificate_is_not_believed(contoso: HandMadeTenant, vendor: Vendor) -> None:
    """Entra goes on signing with an expired certificate; the relying party refuses it."""
    contoso.tenant.clock.set(contoso.tenant.clock.now() + timedelta(days=366))
    encoded = posted(await ask(contoso, request_query()))["SAMLResponse"]
    with pytest.raises(AdmissionError, match="valid now"):
        accept(contoso, encoded, vendor.pair)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"audience": "https://other.example/"}, "audience"),
        ({"reply_url": "https://other.example/acs"}, "not our reply URL"),
        ({"issuer": "https://sts.windows.net/another/"}, "Expected an assertion of"),
    ],
)
async def test_a_response_for_someone_else_is_refused(
    contoso: HandMadeTenant, vendor: Vendor, changed: dict[str, str], said: str
) -> None:
    """Audience, destination and issuer must be the service provider's own."""
    encoded = posted(await ask(contoso, request_query()))["SAMLResponse"]
    with pytest.raises(AdmissionError, match=said):
        accept(contoso, encoded, vendor.pair, **changed)


def _renamed(document: str) -> str:
    return document.replace(SIMON, "app-owner@contoso.com")


def _unsigned(document: str) -> str:
    return re.sub(r"<ds:Signature.*?</ds:Signature>", "", document, flags=re.DOTALL)


def _wrapped(document: str) -> str:
    # Signature wrapping: a forged assertion first, the signed one moved inside an extension of it.
    (assertion,) = re.findall(r"<Assertion .*</Assertion>", document, flags=re.DOTALL)
    forged = re.sub(r'ID="[^"]*"', 'ID="_forged"', _unsigned(_renamed(assertion)), count=1)
    return document.replace(assertion, forged.replace("</Assertion>", f"<Advice>{assertion}</Advice></Assertion>"))


@pytest.mark.parametrize("tamper", [_renamed, _unsigned, _wrapped])
async def test_a_tampered_response_is_refused(
    contoso: HandMadeTenant, vendor: Vendor, tamper: Callable[[str], str]
) -> None:
    """Another name, a missing signature and a wrapped assertion are all refused."""
    document = base64.b64decode(posted(await ask(contoso, request_query()))["SAMLResponse"]).decode()
    tampered = tamper(document)
    assert tampered != document
    with pytest.raises(AdmissionError, match="not signed"):
        accept(contoso, base64.b64encode(tampered.encode()).decode(), vendor.pair)
