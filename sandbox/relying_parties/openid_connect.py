"""A vendor that signs people in by OpenID Connect: authorization code with PKCE, redeemed with its client secret."""

import base64
import hashlib
import json
import secrets
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlencode, urlsplit

import jwt

from sandbox.relying_parties.side import AdmissionError, SetUpError, VendorSide, redirect
from sandbox.user_agent import SiteRequest
from sandbox.wire import Reply, UnreachableError, Wire

SCOPES = "openid profile email"


@dataclass(frozen=True)
class OidcConnection:
    """What the vendor's form holds for one customer, and the discovery document read with it."""

    tenant_id: str
    client_id: str
    client_secrets: tuple[str, ...] = field(repr=False)
    """The newest first."""
    redirect_uri: str
    discovery: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True)
class Transaction:
    """A sign-in under way, remembered between the two visits of the browser."""

    instance: str
    nonce: str
    verifier: str = field(repr=False)


class OidcSide(VendorSide[OidcConnection]):
    """One OpenID Connect vendor."""

    tenant_label: str
    client_label: str
    secret_label: str
    also: tuple[str, ...] = ()
    """What else the vendor must be told, beside its form."""
    start_path: str

    def __init__(self, wire: Wire, authority: str) -> None:
        super().__init__()
        self._wire = wire
        self._authority = authority
        self._transactions: dict[str, Transaction] = {}
        self.fields = (self.tenant_label, self.client_label, self.secret_label, *self.also)

    def reset(self) -> None:
        """Forget customers and sign-ins under way."""
        super().reset()
        self._transactions.clear()

    @abstractmethod
    def redirect_uri(self, told: Mapping[str, str]) -> str:
        """The vendor's own callback for the customer who told this."""

    def start_url(self, instance: str) -> str:
        """The vendor's sign-in page for one customer."""
        return f"https://{self.host}{self.start_path}?{urlencode({'company': instance})}"

    async def connect(self, told: Mapping[str, str]) -> OidcConnection:
        """Read the discovery document of the tenant that was named, as the vendor does when the form is saved."""
        tenant_id = told[self.tenant_label.casefold()]
        address = f"{self._authority}/{tenant_id}/v2.0/.well-known/openid-configuration"
        try:
            discovery = await self._read_json(address)
        except (UnreachableError, ValueError) as problem:
            raise SetUpError(f"{self.name} could not read the tenant's discovery document: {problem}") from problem
        return OidcConnection(
            tenant_id=tenant_id,
            client_id=told[self.client_label.casefold()],
            client_secrets=(told[self.secret_label.casefold()],),
            redirect_uri=self.redirect_uri(told),
            discovery=discovery,
        )

    def beside(self, old: OidcConnection, new: OidcConnection) -> OidcConnection:
        """Where the form has two slots, the secret so far stays beside the new one."""
        held = dict.fromkeys((*new.client_secrets, *old.client_secrets))
        return replace(new, client_secrets=tuple(held)[: self.slots])

    async def visit(self, request: SiteRequest) -> Reply:
        """The sign-in page and the callback."""
        if request.path == self.start_path:
            return self._start(request.query.get("company", ""))
        if any(request.path == urlsplit(each.connection.redirect_uri).path for each in self.customers.values()):
            return await self._finish(request)
        raise AdmissionError(f"{self.name} has no page {request.path}.")

    def person_of(self, claims: Mapping[str, Any]) -> str:
        """The name by which the vendor knows a person."""
        return str(claims.get("preferred_username") or claims["sub"])

    def welcome(self, instance: str, claims: Mapping[str, Any]) -> Reply:
        """Let a proved person in."""
        return self.admit(instance, self.person_of(claims), claims)

    def _start(self, instance: str) -> Reply:
        customer = self.customers.get(instance)
        if customer is None:
            raise AdmissionError(f"{self.name} knows no customer {instance}.")
        connection = customer.connection
        state, verifier = secrets.token_urlsafe(24), secrets.token_urlsafe(48)
        self._transactions[state] = Transaction(instance, secrets.token_urlsafe(24), verifier)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        query = {
            "client_id": connection.client_id,
            "response_type": "code",
            "redirect_uri": connection.redirect_uri,
            "response_mode": "query",
            "scope": SCOPES,
            "state": state,
            "nonce": self._transactions[state].nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        return redirect(f"{connection.discovery['authorization_endpoint']}?{urlencode(query)}")

    async def _finish(self, request: SiteRequest) -> Reply:
        transaction = self._transactions.pop(request.query.get("state", ""), None)
        if transaction is None or transaction.instance not in self.customers:
            raise AdmissionError("The sign-in was not begun here: its state is unknown.")
        connection = self.customers[transaction.instance].connection
        if request.path != urlsplit(connection.redirect_uri).path:
            raise AdmissionError("The sign-in came back to another customer's address.")
        if "error" in request.query:
            raise AdmissionError(request.query.get("error_description") or request.query["error"])
        try:
            token = await self._redeem(connection, request.query.get("code", ""), transaction.verifier)
            claims = await self._proved(connection, token, transaction.nonce)
        except UnreachableError as problem:
            raise AdmissionError(str(problem)) from problem
        return self.welcome(transaction.instance, claims)

    async def _redeem(self, connection: OidcConnection, code: str, verifier: str) -> str:
        """Redeem a code with the newest secret that works; a refused redemption does not spend the code."""
        *others, last = connection.client_secrets
        for secret in others:
            try:
                return await self._redeem_with(secret, connection, code, verifier)
            except AdmissionError:
                continue
        return await self._redeem_with(last, connection, code, verifier)

    async def _redeem_with(self, secret: str, connection: OidcConnection, code: str, verifier: str) -> str:
        reply = await self._wire.post(
            str(connection.discovery["token_endpoint"]),
            {
                "grant_type": "authorization_code",
                "client_id": connection.client_id,
                "client_secret": secret,
                "code": code,
                "redirect_uri": connection.redirect_uri,
                "code_verifier": verifier,
                "scope": SCOPES,
            },
        )
        try:
            body = json.loads(reply.text)
            if reply.status != 200:
                raise AdmissionError(str(body["error_description"]))
            return str(body["id_token"])
        except (ValueError, KeyError) as problem:
            raise AdmissionError(f"The token endpoint answered {reply.status} and no ID token.") from problem

    async def _proved(self, connection: OidcConnection, token: str, nonce: str) -> dict[str, Any]:
        """The claims of an ID token that is valid for this client (OpenID Connect Core section 3.1.3.7)."""
        try:
            keys = jwt.PyJWKSet.from_dict(await self._read_json(str(connection.discovery["jwks_uri"])))
            claims = jwt.decode(
                token,
                keys[jwt.get_unverified_header(token)["kid"]].key,
                algorithms=["RS256"],
                audience=connection.client_id,
                issuer=str(connection.discovery["issuer"]),
                options={"require": ["exp", "iat", "aud", "iss", "sub"]},
            )
        except (jwt.PyJWTError, KeyError, ValueError) as problem:
            raise AdmissionError(f"{self.name} does not accept the ID token: {problem}") from problem
        if not secrets.compare_digest(str(claims.get("nonce", "")), nonce) or claims.get("tid") != connection.tenant_id:
            raise AdmissionError(f"{self.name} does not accept the ID token: its nonce or tenant is another one.")
        return dict(claims)

    async def _read_json(self, address: str) -> dict[str, Any]:
        reply = await self._wire.get(address)
        if reply.status != 200:
            raise ValueError(f"{urlsplit(address).path} answered {reply.status}.")
        return dict(json.loads(reply.text))
