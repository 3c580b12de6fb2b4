"""The identity provider's SAML half: who gets a signed response, for which application, under which key."""

import base64
from collections.abc import Iterable, Mapping

from cryptography import x509

from sandbox.aadsts import SignInError
from sandbox.access import require_application, require_assignment, require_service_principal, require_user
from sandbox.directory import Directory, GraphObject
from sandbox.saml import Assertion, AuthnRequest, SigningKey, federation_metadata, read_authn_request, signed_response
from sandbox.tenant import SandboxTenant

IDENTITY = "http://schemas.microsoft.com/identity/claims"
PERSON = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims"
ROLE = "http://schemas.microsoft.com/ws/2008/06/identity/claims/role"


class SamlSignIn:
    """Answers SAML requests of one tenant."""

    def __init__(self, tenant: SandboxTenant) -> None:
        self._tenant = tenant

    @property
    def entity_id(self) -> str:
        """The identity provider's name; an identifier, not an address."""
        return f"https://sts.windows.net/{self._tenant.directory.tenant_id}/"

    def metadata(self, client_id: str | None) -> bytes:
        """Federation metadata of one application, or of the tenant where none is named."""
        directory = self._tenant.directory
        tenant_key: SigningKey = directory.tenant_signing_certificate
        certificates: list[x509.Certificate] = []
        key = tenant_key
        if client_id:
            service_principal = self._published(client_id)
            if service_principal is None:
                raise SignInError(700016, client_id=client_id, tenant=directory.tenant_id)
            certificates = _signing_certificates(directory, service_principal)
            key = _active_key(directory, service_principal) or tenant_key
        sign_on_url = f"{self._tenant.urls.authority}/{directory.tenant_id}/saml2"
        return federation_metadata(self.entity_id, sign_on_url, certificates or [tenant_key[1]], key)

    def _published(self, client_id: str) -> GraphObject | None:
        """Return a service principal as the metadata's server knows it: as the laggiest replica does."""
        found = self._tenant.directory.service_principal_by_client_id(client_id)
        if found is None:
            return None
        return self._tenant.unkind.replicas.laggiest("service_principals", str(found["id"]), found)

    def requested(self, given: Mapping[str, str], *, deflated: bool) -> tuple[GraphObject, AuthnRequest]:
        """The service principal that a request comes from, and the request (AADSTS750054, 75005, 700016)."""
        encoded = given.get("SAMLRequest")
        if not encoded:
            raise SignInError(750054)
        request = read_authn_request(encoded, deflated=deflated)
        directory = self._tenant.directory
        for application in directory.applications.values():
            if request.issuer in (application.get("identifierUris") or []):
                return require_service_principal(directory, str(application["appId"])), request
        raise SignInError(700016, client_id=request.issuer, tenant=directory.tenant_id)

    def respond(self, service_principal: GraphObject, request: AuthnRequest | None, upn: str) -> tuple[str, str]:
        """Reply URL and encoded response for this person; without a request, the one of an IdP-initiated sign-in."""
        directory = self._tenant.directory
        application = require_application(directory, str(service_principal["appId"]))
        reply_url = _reply_url(application, request.reply_url if request else None)
        user = require_user(directory, upn)
        roles = require_assignment(directory, service_principal, user)
        key = _active_key(directory, service_principal)
        identifiers = application.get("identifierUris") or []
        if key is None or not identifiers:
            raise SignInError(500031)
        content = Assertion(
            issuer=self.entity_id,
            audience=str(identifiers[0]),
            reply_url=reply_url,
            in_response_to=request.id if request else None,
            name_id=str(user["userPrincipalName"]),
            attributes=_attributes(directory.tenant_id, user, roles),
        )
        return reply_url, signed_response(content, key, self._tenant.clock.now())


def _attributes(tenant_id: str, user: GraphObject, roles: list[str]) -> dict[str, Iterable[str]]:
    single = {
        f"{IDENTITY}/tenantid": tenant_id,
        f"{IDENTITY}/objectidentifier": user["id"],
        f"{IDENTITY}/displayname": user.get("displayName"),
        f"{PERSON}/givenname": user.get("givenName"),
        f"{PERSON}/surname": user.get("surname"),
        f"{PERSON}/emailaddress": user.get("mail"),
        f"{PERSON}/name": user["userPrincipalName"],
    }
    found: dict[str, Iterable[str]] = {name: [str(value)] for name, value in single.items() if value}
    return {**found, ROLE: roles} if roles else found


def _reply_url(application: GraphObject, asked: str | None) -> str:
    web = application.get("web") or {}
    ordered = sorted(web.get("redirectUriSettings") or [], key=lambda setting: setting.get("index") or 0)
    registered = [str(setting["uri"]) for setting in ordered] + list(web.get("redirectUris") or [])
    if not registered:
        raise SignInError(500113)
    if asked and asked not in registered:
        raise SignInError(50011, uri=asked, client_id=str(application["appId"]))
    return asked or registered[0]


def _active_key(directory: Directory, service_principal: GraphObject) -> SigningKey | None:
    return directory.signing_keys.get(str(service_principal.get("preferredTokenSigningKeyThumbprint") or "").upper())


def _signing_certificates(directory: Directory, service_principal: GraphObject) -> list[x509.Certificate]:
    # Every one, active or not, in the order of the service principal's keys (graph-contract 9).
    thumbprints = (
        base64.b64decode(credential["customKeyIdentifier"]).hex().upper()
        for credential in service_principal.get("keyCredentials") or []
        if credential.get("usage") == "Verify" and credential.get("customKeyIdentifier")
    )
    return [directory.signing_keys[found][1] for found in thumbprints if found in directory.signing_keys]
