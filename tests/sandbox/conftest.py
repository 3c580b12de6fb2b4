"""A tenant with all its services on the wire, started once, back at its seed for every test that asks for it."""

import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
from yarl import URL

from sandbox.certificate_authority import issue_loopback_certificate
from sandbox.first_party import DEFAULT_PERMISSIONS
from sandbox.services import open_sockets, start_services, urls_of
from sandbox.tenant import SandboxTenant
from sandbox.tokens import tokens_of
from tests.sandbox.handed_off import contoso, running_vendors
from tests.watching import Watch, watched

__all__ = ["contoso", "running_vendors"]  # fixtures of the vendors' sides


@dataclass(frozen=True)
class Reply:
    """What came back."""

    status: int
    body: Any
    headers: Mapping[str, str]

    @property
    def code(self) -> str:
        """The error's code."""
        return str(self.body["error"]["code"])

    @property
    def message(self) -> str:
        """The error's text."""
        return str(self.body["error"]["message"])


class Contoso:
    """The running tenant, and a client of each of its services."""

    def __init__(self, tenant: SandboxTenant, session: aiohttp.ClientSession, tls: ssl.SSLContext) -> None:
        self.tenant = tenant
        self.tls = tls
        self.watch = Watch(self._calls, requests=False)
        self._session = session

    async def _calls(self, since: int) -> Sequence[Mapping[str, Any]]:
        return self.tenant.calls.since(since)

    def token(self, *, audience: str, roles: tuple[str, ...] = DEFAULT_PERMISSIONS) -> str:
        """An access token of Gatehouse's identity."""
        directory = self.tenant.directory
        token, _ = tokens_of(self.tenant).issue(
            audience=audience,
            object_id=directory.identity_service_principal_id,
            client_id=directory.identity_client_id,
            roles=roles,
        )
        return token

    async def call(self, method: str, url: str | URL, body: Any = None, **options: Any) -> Reply:
        """Send one request as it is."""
        async with self._session.request(method, url, json=body, **options) as response:
            text = await response.text()
            found = await response.json() if "json" in response.content_type else text
            return Reply(response.status, found, response.headers)

    async def graph(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        roles: tuple[str, ...] = DEFAULT_PERMISSIONS,
        version: str = "v1.0",
        headers: Mapping[str, str] | None = None,
        **options: Any,
    ) -> Reply:
        """Call Graph with a good token."""
        graph = self.tenant.urls.graph
        url = path if path.startswith("https:") else f"{graph}/{version}{path}"
        sent = {"Authorization": f"Bearer {self.token(audience=graph, roles=roles)}", **(headers or {})}
        return await self.call(method, url, body, headers=sent, **options)

    async def vault(self, method: str, path: str, body: Any = None) -> Reply:
        """Call the vault with a good token."""
        urls = self.tenant.urls
        sent = {"Authorization": f"Bearer {self.token(audience=urls.vault_resource, roles=())}"}
        separator = "&" if "?" in path else "?"
        return await self.call(method, f"{urls.vault}{path}{separator}api-version=7.6", body, headers=sent)

    async def control(self, method: str, path: str, body: Any = None) -> Reply:
        """Call the control plane."""
        return await self.call(method, self.tenant.urls.control + path, body)

    async def registered(self, name: str = "Portal", **properties: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """An application registration and its service principal."""
        application = await self.graph("POST", "/applications", {"displayName": name, **properties})
        assert application.status == 201, application.body
        principal = await self.graph("POST", "/servicePrincipals", {"appId": application.body["appId"]})
        assert principal.status == 201, principal.body
        return application.body, principal.body

    async def instantiated(self, template: str, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """A gallery application and its service principal."""
        hits = await self.graph("GET", f"/applicationTemplates?$filter=displayName eq '{template}'")
        made = await self.graph(
            "POST", f"/applicationTemplates/{hits.body['value'][0]['id']}/instantiate", {"displayName": name}
        )
        assert made.status == 201, made.body
        return made.body["application"], made.body["servicePrincipal"]


@pytest.fixture(scope="session")
async def running_contoso(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Contoso]:
    """All services of one tenant on free ports, in this process."""
    certificate = issue_loopback_certificate(tmp_path_factory.mktemp("contoso"))
    sockets = open_sockets()
    tenant = SandboxTenant(1, urls_of(sockets))
    runners = await start_services(tenant, sockets, certificate.server_context())
    tls = certificate.client_context()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls)) as session:
        contoso = Contoso(tenant, session, tls)
        async with watched(contoso.watch):
            yield contoso
    for runner in runners:
        await runner.cleanup()


@pytest.fixture
async def sandbox_tenant(running_contoso: Contoso) -> Contoso:
    """The running tenant, back at its seed."""
    await running_contoso.tenant.reset()
    running_contoso.watch.forget()
    return running_contoso
