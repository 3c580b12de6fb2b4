"""ClickTime, by its guide: Login URL and certificate pasted into Security Settings, people come from their tile."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from cryptography import x509

from sandbox.clock import Clock
from sandbox.relying_parties.service_provider import Expected, accept_response, read_certificate
from sandbox.relying_parties.side import AdmissionError, SetUpError, VendorSide
from sandbox.user_agent import SiteRequest
from sandbox.wire import Reply

ENTITY_ID = "https://app.clicktime.com/sp/"
REPLY_URLS = ("https://app.clicktime.com/Login/", "https://app.clicktime.com/App/Login/Consume.aspx")
ENDPOINT = "Identity Provider Endpoint"
CERTIFICATE = "X.509 Certificate"


@dataclass(frozen=True)
class ClickTimeConnection:
    """What stands in Single Sign-On Preferences."""

    endpoint: str
    certificates: tuple[x509.Certificate, ...]
    """The newest first."""


class ClickTime(VendorSide[ClickTimeConnection]):
    """ClickTime's Single Sign-On Preferences; IdP-initiated only."""

    name = "ClickTime"
    host = "app.clicktime.com"
    fields = (ENDPOINT, CERTIFICATE)
    entity_id = ENTITY_ID

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock

    async def connect(self, told: Mapping[str, str]) -> ClickTimeConnection:
        """Take an https endpoint and one certificate."""
        endpoint = told[ENDPOINT.casefold()]
        if urlsplit(endpoint).scheme != "https":
            raise SetUpError(f"{ENDPOINT} is not an https address: {endpoint}")
        try:
            return ClickTimeConnection(endpoint, (read_certificate(told[CERTIFICATE.casefold()]),))
        except ValueError as problem:
            raise SetUpError(f"{CERTIFICATE} is not a Base64 certificate.") from problem

    def beside(self, old: ClickTimeConnection, new: ClickTimeConnection) -> ClickTimeConnection:
        """Where the form holds two certificates, the one so far stays beside the new one."""
        held = dict.fromkeys((*new.certificates, *old.certificates))
        return replace(new, certificates=tuple(held)[: self.slots])

    def start_url(self, instance: str) -> None:
        """Nowhere: ClickTime starts no sign-in itself."""
        del instance

    async def visit(self, request: SiteRequest) -> Reply:
        """Take the response that the browser brings."""
        if f"https://{self.host}{request.path}" not in REPLY_URLS or request.method != "POST":
            raise AdmissionError(f"ClickTime has no page {request.path} to {request.method}.")
        refusals = ["ClickTime has no single sign-on set up."]
        for instance, customer in self.customers.items():
            expected = Expected(customer.connection.certificates, ENTITY_ID, REPLY_URLS, None)
            try:
                accepted = accept_response(request.form.get("SAMLResponse", ""), expected, self._clock.now())
            except AdmissionError as problem:
                refusals.append(str(problem))
            else:
                return self.admit(instance, accepted.name_id, accepted.claims)
        raise AdmissionError(refusals[-1])
