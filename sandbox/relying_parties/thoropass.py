"""Thoropass, by its guide: the support team sets the metadata URL, people begin at the sign-on URL or their tile."""

import base64
import secrets
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from urllib.parse import urlencode

from cryptography import x509
from lxml import etree

from sandbox.clock import Clock
from sandbox.relying_parties.service_provider import Expected, accept_response, hardened_parser, read_certificate
from sandbox.relying_parties.side import AdmissionError, SetUpError, VendorSide, redirect
from sandbox.user_agent import SiteRequest
from sandbox.wire import Reply, UnreachableError, Wire

ENTITY_ID = "https://login.thoropass.com/saml/metadata"
REPLY_URL = "https://login.thoropass.com/saml/acs"
METADATA_URL = "App Federation Metadata Url"

NAMES = {"md": "urn:oasis:names:tc:SAML:2.0:metadata", "ds": "http://www.w3.org/2000/09/xmldsig#"}
REDIRECT = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"


@dataclass(frozen=True)
class ThoropassConnection:
    """What the metadata said when it was set."""

    entity_id: str
    sign_on_url: str
    certificates: tuple[x509.Certificate, ...]
    metadata_url: str
    read_at: datetime


class Thoropass(VendorSide[ThoropassConnection]):
    """Thoropass' SAML connection; SP- and IdP-initiated, people created at the first sign-in."""

    name = "Thoropass"
    host = "login.thoropass.com"
    contact = "support@thoropass.com"
    fields = (METADATA_URL,)
    most_slots = 10

    def __init__(self, wire: Wire, clock: Clock) -> None:
        super().__init__()
        self._wire = wire
        self._clock = clock
        self._asked: dict[str, str] = {}
        """The customer of each request that has no answer yet."""
        self._expecting: set[str] = set()

    def reset(self) -> None:
        """Forget customers and sign-ins under way."""
        super().reset()
        self._asked.clear()
        self._expecting.clear()

    async def connect(self, told: Mapping[str, str]) -> ThoropassConnection:
        """Fetch the metadata and take what it names."""
        address = told[METADATA_URL.casefold()]
        try:
            reply = await self._wire.get(address)
        except UnreachableError as problem:
            raise SetUpError(f"Thoropass could not read the metadata: {problem}") from problem
        if reply.status != 200:
            raise SetUpError(f"Thoropass could not read the metadata: its address answered {reply.status}.")
        read = _read_metadata(reply.text, address, self._clock.now())
        # One that keeps a single certificate keeps the last that is listed.
        return replace(read, certificates=read.certificates[-self.slots :])

    def expect_change(self, instance: str) -> None:
        """Read the metadata at every sign-in until it has changed."""
        self._expecting.add(instance)

    async def _poll(self) -> None:
        """Read the metadata again where that is due."""
        for instance, customer in self.customers.items():
            known = customer.connection
            due = self.poll_hours and self._clock.now() - known.read_at >= timedelta(hours=self.poll_hours)
            if not due and instance not in self._expecting:
                continue
            try:
                customer.connection = await self.connect({METADATA_URL.casefold(): known.metadata_url})
            except SetUpError:
                continue  # it goes on with what it has
            if customer.connection.certificates != known.certificates:
                self._expecting.discard(instance)

    def start_url(self, instance: str) -> str:
        """The sign-on URL, with the customer it is for."""
        return f"https://{self.host}/?{urlencode({'customer': instance})}"

    async def visit(self, request: SiteRequest) -> Reply:
        """The sign-on URL and the assertion consumer service."""
        await self._poll()
        if request.path == "/":
            return self._start(request.query.get("customer"))
        if request.path == "/saml/acs" and request.method == "POST":
            return self._finish(request.form.get("SAMLResponse", ""))
        raise AdmissionError(f"Thoropass has no page {request.path} to {request.method}.")

    def _start(self, instance: str | None) -> Reply:
        # The tile leads to the bare sign-on URL: then it is the customer who was set up last.
        instance = instance or next(reversed(self.customers), None)
        customer = self.customers.get(instance or "")
        if instance is None or customer is None:
            raise AdmissionError("Thoropass has no single sign-on set up.")
        request_id = f"_{secrets.token_hex(16)}"
        self._asked[request_id] = instance
        document = (
            '<samlp:AuthnRequest xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" '
            'xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" '
            f'ID="{request_id}" Version="2.0" IssueInstant="{self._clock.now():%Y-%m-%dT%H:%M:%SZ}" '
            f'AssertionConsumerServiceURL="{REPLY_URL}"><saml:Issuer>{ENTITY_ID}</saml:Issuer></samlp:AuthnRequest>'
        )
        deflater = zlib.compressobj(wbits=-15)
        encoded = base64.b64encode(deflater.compress(document.encode()) + deflater.flush()).decode()
        return redirect(f"{customer.connection.sign_on_url}?{urlencode({'SAMLRequest': encoded})}")

    def _finish(self, encoded: str) -> Reply:
        refusals = ["Thoropass has no single sign-on set up."]
        for instance, customer in self.customers.items():
            connection = customer.connection
            expected = Expected(connection.certificates, ENTITY_ID, (REPLY_URL,), connection.entity_id)
            try:
                accepted = accept_response(encoded, expected, self._clock.now())
            except AdmissionError as problem:
                refusals.append(str(problem))
                continue
            asked = accepted.in_response_to
            if asked is None:
                return self.admit(instance, accepted.name_id, accepted.claims)
            if self._asked.get(asked) == instance:
                del self._asked[asked]
                return self.admit(instance, accepted.name_id, accepted.claims)
            refusals.append("The response answers a request that Thoropass did not make, or one already answered.")
        raise AdmissionError(refusals[-1])


def _read_metadata(text: str, address: str, now: datetime) -> ThoropassConnection:
    try:
        root = etree.fromstring(text.encode(), hardened_parser())
        listed = root.iterfind("md:IDPSSODescriptor/md:KeyDescriptor[@use='signing']//ds:X509Certificate", NAMES)
        certificates = tuple(read_certificate(str(each.text)) for each in listed)
    except (ValueError, etree.XMLSyntaxError) as problem:
        raise SetUpError("Thoropass could not read the metadata: it is not SAML metadata.") from problem
    services = root.iterfind("md:IDPSSODescriptor/md:SingleSignOnService", NAMES)
    sign_on_url = next((each.get("Location") for each in services if each.get("Binding") == REDIRECT), None)
    entity_id = root.get("entityID")
    if not certificates or not sign_on_url or not entity_id:
        raise SetUpError("Thoropass could not use the metadata: entity ID, sign-on address or certificate is missing.")
    return ThoropassConnection(entity_id, sign_on_url, certificates, address, now)
