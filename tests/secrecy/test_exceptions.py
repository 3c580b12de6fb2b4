"""Services that answer with the worst they can: whatever is raised then, it says nothing that is secret."""

import ssl
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import aiohttp
import pytest
from aiohttp import web
from azure.core.credentials import AccessToken

from clients.graph import Graph
from clients.sts import Sts
from clients.vault import Vault
from sandbox.certificate_authority import issue_loopback_certificate
from sandbox.graph.passwords import CANARY
from sso.errors import GatehouseError
from sso.model import Application, ClientId, Key, KeyId, ObjectId, Secret, key_of

KEY: Key = key_of("smarttrace", "default")
SECRET = f"abc{CANARY}xyz"
CLIENT_ID = ClientId("b7e1c7a2-64d2-4b0e-8ee0-3a2f0a1f77d3")

Answer = Callable[[str], web.Response]


def error(status: int) -> Answer:
    """An error whose text quotes all that was sent."""
    body = {"error": {"code": "Odd", "message": "quoted"}, "error_description": "quoted", "error_codes": [status]}
    return lambda sent: web.json_response({**body, "sent": sent, "value": SECRET}, status=status)


ANSWERS: dict[str, Answer] = {
    **{f"{status}, quoting the request": error(status) for status in (400, 401, 403, 404, 409, 500, 503)},
    "200, not JSON": lambda sent: web.Response(text=f"<html>{sent}{SECRET}"),
    "200, a list": lambda sent: web.json_response([sent, SECRET]),
    "200, without what counts": lambda sent: web.json_response({"sent": sent, "odd": SECRET}),
    "200, of the wrong type": lambda sent: web.json_response(
        {"id": [SECRET], "attributes": sent, "secretText": SECRET}
    ),
    "a redirect with the secret": lambda _: web.Response(status=302, headers={"Location": f"/x?secret={SECRET}"}),
}


class Identity:
    """A credential that always has a token; its text is a canary too."""

    async def get_token(self, *_: str, **__: Any) -> AccessToken:
        """A token for anything."""
        return AccessToken(SECRET, int((datetime.now(UTC) + timedelta(hours=1)).timestamp()))

    async def close(self) -> None:
        """Nothing is open."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return


class Service:
    """One address that plays vault, token service and Graph, and answers everything with `answer`."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.answer: Answer = error(500)

    async def respond(self, sent: web.Request) -> web.Response:
        """The vault's challenge where no token came, else whatever is to be answered."""
        if "Authorization" not in sent.headers and sent.path.startswith("/secrets"):
            challenge = f'Bearer authorization="{self.url}/tenant", resource="{self.url.replace("127.0.0.1", "0.0.1")}"'
            return web.Response(status=401, headers={"WWW-Authenticate": challenge})
        return self.answer(await sent.text())


@pytest.fixture(scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    """The odd service, over TLS."""
    certificate = issue_loopback_certificate(tmp_path_factory.mktemp("odd"))
    application = web.Application()
    runner = web.AppRunner(application, access_log=None)
    found = Service("")
    application.router.add_route("*", "/{path:.*}", found.respond)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=certificate.server_context()).start()
    found.url = f"https://127.0.0.1:{runner.addresses[0][1]}"
    with pytest.MonkeyPatch.context() as environment:
        for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
            environment.setenv(name, str(certificate.authority))
        environment.setenv("NO_PROXY", "127.0.0.1")
        # aiohttp, under the Azure SDKs, reads SSL_CERT_FILE only once, when it is imported.
        trusted: ssl.SSLContext = aiohttp.connector._SSL_CONTEXT_VERIFIED  # noqa: SLF001
        trusted.load_verify_locations(certificate.authority)
        yield found
    await runner.cleanup()


async def stage(service: Service) -> None:
    """Write a secret into the vault."""
    vault = Vault(service.url, Identity(), wait_scale=0.01)
    try:
        await vault.stage(KEY, Secret(SECRET), key_id=KeyId("1"), client_id=CLIENT_ID)
    finally:
        await vault.close()


async def read(service: Service) -> None:
    """Read a secret from the vault."""
    vault = Vault(service.url, Identity(), wait_scale=0.01)
    try:
        await vault.read_secret(KEY, KeyId("1"))
    finally:
        await vault.close()


async def prove(service: Service) -> None:
    """Prove a secret at the token service."""
    await Sts(service.url, "tenant", service.url).prove_secret(CLIENT_ID, Secret(SECRET))


async def mint(service: Service) -> None:
    """Mint a secret."""
    graph = Graph(service.url, Identity(), 0.001)
    application = Application(
        object_id=ObjectId("1"),
        client_id=CLIENT_ID,
        display_name="SmartTrace",
        unique_name=None,
        template_id=None,
        created=datetime.now(UTC),
        tags=(),
        identifiers=(),
        reply_urls=(),
        logout_url=None,
        scopes=(),
        required_scopes=frozenset(),
        app_roles=(),
        passwords=(),
    )
    try:
        await graph.add_password(application, "gatehouse-x", datetime.now(UTC))
    finally:
        await graph.close()


CALLS: tuple[Callable[[Service], Awaitable[None]], ...] = (stage, read, prove, mint)


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("call", CALLS)
async def test_what_is_raised_tells_no_secret(
    service: Service, call: Callable[[Service], Awaitable[None]], answer: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Vault, proof and minting fail on each odd answer, and neither error, traceback nor log holds the secret."""
    service.answer = ANSWERS[answer]
    with caplog.at_level("INFO"), pytest.raises(Exception) as caught:  # noqa: PT011  # which one is tested elsewhere
        await call(service)
    told = "".join(traceback.format_exception(caught.value)) + repr(caught.value) + repr(caught.value.args)
    assert CANARY not in told
    assert CANARY not in caplog.text
    assert isinstance(caught.value, GatehouseError)
