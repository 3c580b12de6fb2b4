"""A tenant whose applications are made by hand, so that the sign-in services are tested without Graph."""

import ssl
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from aiohttp import web

from sandbox.blank_objects import blank_application, blank_service_principal
from sandbox.certificate_authority import issue_loopback_certificate
from sandbox.certificates import SigningPair, make_signing_pair
from sandbox.clock import graph_time
from sandbox.relying_parties import RelyingParties
from sandbox.services import applications_of, open_sockets, urls_of
from sandbox.tenant import SandboxTenant
from sandbox.wire import Wire

SIMON = "b.simon@contoso.com"
# In the seed, but in nobody's list of assigned people.
UNASSIGNED = "helpdesk@contoso.com"
SERVED = ("authority", "identity")


@dataclass
class Made:
    """An application and its service principal."""

    application: dict[str, Any]
    service_principal: dict[str, Any]

    @property
    def client_id(self) -> str:
        """The ID that both share."""
        return str(self.application["appId"])


@dataclass
class HandMadeTenant:
    """A running tenant and the verbs of an administrator."""

    tenant: SandboxTenant
    server_tls: ssl.SSLContext
    authority_file: Path
    wire: Wire
    vendors: RelyingParties

    @property
    def root(self) -> str:
        """The authority's URL with the tenant's ID."""
        return f"{self.tenant.urls.authority}/{self.tenant.directory.tenant_id}"

    def add(self, name: str, *, reply_urls: tuple[str, ...] = (), identifiers: tuple[str, ...] = ()) -> Made:
        """Register an application that demands assignment."""
        directory = self.tenant.directory
        client_id = directory.next_id("clientId", name)
        created = graph_time(self.tenant.clock.now())
        application = blank_application(directory.next_id("application", name), client_id, name, created, "")
        application["web"]["redirectUris"] = list(reply_urls)
        application["identifierUris"] = list(identifiers)
        directory.applications[application["id"]] = application
        object_id = directory.next_id("servicePrincipal", name)
        service_principal = blank_service_principal(object_id, client_id, name, directory.tenant_id)
        service_principal["appRoleAssignmentRequired"] = True
        if identifiers:
            service_principal["preferredSingleSignOnMode"] = "saml"
        directory.service_principals[object_id] = service_principal
        return Made(application, service_principal)

    def add_secret(self, made: Made, text: str, lives: timedelta = timedelta(days=90)) -> str:
        """Give the application a client secret and return its key ID."""
        key_id = self.tenant.directory.next_id("secret", made.client_id)
        ends = graph_time(self.tenant.clock.now() + lives)
        made.application["passwordCredentials"].append({"keyId": key_id, "endDateTime": ends, "hint": text[:3]})
        self.tenant.directory.secret_values[key_id] = text
        return key_id

    def add_certificate(
        self, made: Made, *, active: bool = True, lives: timedelta = timedelta(days=365), starts: datetime | None = None
    ) -> SigningPair:
        """Give the service principal a signing certificate."""
        starts = starts or self.tenant.clock.now()
        pair = make_signing_pair(str(made.application["displayName"]), starts, starts + lives)
        identifier = b64encode(bytes.fromhex(pair.thumbprint)).decode()
        made.service_principal["keyCredentials"] += [
            {"customKeyIdentifier": identifier, "usage": usage, "keyId": usage} for usage in ("Verify", "Sign")
        ]
        self.tenant.directory.signing_keys[pair.thumbprint] = (pair.private_key, pair.certificate)
        if active:
            made.service_principal["preferredTokenSigningKeyThumbprint"] = pair.thumbprint
        return pair

    def assign(self, made: Made, principal_id: str, role_id: str = "00000000-0000-0000-0000-000000000000") -> str:
        """Assign a user or group and return the assignment's ID."""
        assignment_id = self.tenant.directory.opaque_id("assignment", made.client_id, principal_id)
        self.tenant.directory.assignments[assignment_id] = {
            "id": assignment_id,
            "principalId": principal_id,
            "resourceId": made.service_principal["id"],
            "appRoleId": role_id,
        }
        return assignment_id

    def consent(self, made: Made, scope: str = "openid profile email") -> str:
        """Consent for everyone and return the grant's ID."""
        grant_id = self.tenant.directory.opaque_id("grant", made.client_id)
        self.tenant.directory.grants[grant_id] = {
            "id": grant_id,
            "clientId": made.service_principal["id"],
            "consentType": "AllPrincipals",
            "resourceId": self.tenant.directory.graph_service_principal_id,
            "scope": scope,
        }
        return grant_id

    def user_id(self, upn: str = SIMON) -> str:
        """The object ID of a seeded person."""
        user = self.tenant.directory.user_by_upn(upn)
        assert user is not None
        return str(user["id"])


@asynccontextmanager
async def hand_made_tenant(folder: Path) -> AsyncIterator[HandMadeTenant]:
    """The authority and the identity endpoint on loopback, over TLS."""
    certificate = issue_loopback_certificate(folder)
    sockets = open_sockets()
    tenant = SandboxTenant(1, urls_of(sockets))
    runners = []
    for service, application in applications_of(tenant).items():
        if service not in SERVED:
            sockets[service].close()
            continue
        runners.append(web.AppRunner(application, access_log=None, shutdown_timeout=1.0))
        await runners[-1].setup()
        await web.SockSite(runners[-1], sockets[service], ssl_context=certificate.server_context()).start()
    tls = certificate.client_context()
    try:
        yield HandMadeTenant(
            tenant, certificate.server_context(), certificate.authority, Wire(tls), RelyingParties(tenant, tls)
        )
    finally:
        for runner in runners:
            await runner.cleanup()
