"""Starts the services of one tenant, each an application of its own behind TLS on a loopback port of its own."""

import socket
import ssl
from collections.abc import Iterable, Mapping, Sequence

from aiohttp import web

from sandbox import authority, control, graph, identity, vault
from sandbox.storage import SERVICES as STORAGE_SERVICES
from sandbox.storage import storage_application
from sandbox.tenant import SandboxTenant, Urls

SERVICES = ("graph", "authority", "vault", "identity", "control")

Sockets = Mapping[str, socket.socket]


def open_sockets(port_base: int = 0, services: Sequence[str] = SERVICES) -> dict[str, socket.socket]:
    """Listen on loopback for each service: from `port_base` upwards, or on free ports where it is 0."""
    sockets: dict[str, socket.socket] = {}
    for offset, service in enumerate(services):
        listener = socket.create_server(("127.0.0.1", port_base + offset if port_base else 0))
        listener.setblocking(False)
        sockets[service] = listener
    return sockets


def open_storage_sockets(port_base: int = 0) -> dict[str, socket.socket]:
    """Listen on loopback for the ways to the storage."""
    return open_sockets(port_base, STORAGE_SERVICES)


def urls_of(sockets: Sockets, host: str | None = None) -> Urls:
    """Return where the services will answer."""
    at = {service: f"https://127.0.0.1:{listener.getsockname()[1]}" for service, listener in sockets.items()}
    return Urls(at["graph"], at["authority"], at["vault"], at["control"], at["identity"], host)


def applications_of(tenant: SandboxTenant) -> dict[str, web.Application]:
    """Build the application of each service, recording and disturbing calls where a tenant would."""
    built = {}
    for service, routes in _routes(tenant).items():
        around = [tenant.calls.middleware(service)] if service in ("graph", "authority", "vault") else []
        if service == "authority":
            around.append(authority.gate(tenant))
        elif service == "vault":
            around.append(vault.gate(tenant))
        # A mail with attachments may be 4 MB (graph-contract 12); more is refused by the service itself.
        built[service] = web.Application(middlewares=around, client_max_size=8 * 1024 * 1024)
        built[service].add_routes(routes)
    return built


async def start_services(tenant: SandboxTenant, sockets: Sockets, tls: ssl.SSLContext) -> list[web.AppRunner]:
    """Start every service on its socket and return what must be cleaned up at the end."""
    runners = []
    for service, application in applications_of(tenant).items():
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        await web.SockSite(runner, sockets[service], ssl_context=tls).start()
        runners.append(runner)
    return runners


async def start_storage(
    tenant: SandboxTenant, sockets: Sockets, azurite: Mapping[str, str]
) -> tuple[list[web.AppRunner], dict[str, str]]:
    """Start the ways to Azurite; return what must be cleaned up, and the address of each way."""
    runners, addresses = [], {}
    for service in STORAGE_SERVICES:
        address = azurite[service]
        runner = web.AppRunner(storage_application(tenant, service, address), access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        await web.SockSite(runner, sockets[service]).start()
        runners.append(runner)
        addresses[service] = f"http://127.0.0.1:{sockets[service].getsockname()[1]}"
    return runners, addresses


def _routes(tenant: SandboxTenant) -> dict[str, Iterable[web.RouteDef]]:
    return {
        "graph": graph.routes(tenant),
        "authority": authority.routes(tenant),
        "vault": vault.routes(tenant),
        "identity": identity.routes(tenant),
        "control": control.routes(tenant),
    }
