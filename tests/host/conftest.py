"""The sample app, served by the local host beside a real Azurite, and the socket that it reports to."""

import asyncio
import contextlib
import json
import os
import secrets
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from sandbox.azurite.process import start_azurite
from sandbox.certificate_authority import LoopbackCertificate, issue_loopback_certificate
from sandbox.child import Child

SAMPLE_APP = Path(__file__).parent / "sample_app"


class Reports:
    """What the sample app's functions said about themselves, in order, by case."""

    def __init__(self) -> None:
        self._waiting: dict[str, asyncio.Queue[dict[str, Any]]] = {}

    async def next(self, case: str) -> dict[str, Any]:
        """The next report of a case, or TimeoutError."""
        return await asyncio.wait_for(self._of(case).get(), 20)

    def count(self, case: str) -> int:
        """How many reports of a case have not been read."""
        return self._of(case).qsize()

    async def receive(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take one report."""
        report = json.loads(await reader.readline())
        self._of(report.pop("case")).put_nowait(report)
        writer.close()

    def _of(self, case: str) -> asyncio.Queue[dict[str, Any]]:
        return self._waiting.setdefault(case, asyncio.Queue())


@dataclass(frozen=True)
class RunningHost:
    """One host, a client that trusts it, and where its functions report."""

    url: str
    client: aiohttp.ClientSession
    reports: Reports
    storage: str
    orders: str
    child: Child


@pytest.fixture(scope="session")
async def storage() -> AsyncIterator[str]:
    """One Azurite for all tests, as a connection string."""
    azurite = await start_azurite()
    yield azurite.connection
    await azurite.child.stop()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> LoopbackCertificate:
    """TLS for the hosts of these tests."""
    return issue_loopback_certificate(tmp_path_factory.mktemp("certificate"))


@contextlib.asynccontextmanager
async def serving(
    certificate: LoopbackCertificate, storage: str, *options: str, app: Path = SAMPLE_APP, **settings: str
) -> AsyncIterator[RunningHost]:
    """A host for an app folder, with the sample app's settings."""
    reports, own = Reports(), secrets.token_hex(4)
    server = await asyncio.start_server(reports.receive, "127.0.0.1", 0)
    environment = {
        "PATH": os.environ["PATH"],
        "AzureWebJobsStorage": storage,
        "REPORT_PORT": str(server.sockets[0].getsockname()[1]),
        # Queues of its own, so that hosts beside one another do not take each other's messages.
        "ORDERS_QUEUE": f"orders-{own}",
        "RECEIVED_QUEUE": f"received-{own}",
        "TICK_SCHEDULE": "0 0 4 1 1 *",
        **settings,
    }
    command = [sys.executable, "-m", "sandbox.host", "--app", str(app), "--end-with-stdin"]
    command += ["--certfile", str(certificate.certificate), "--keyfile", str(certificate.key), *options]
    child = await Child.start("The host", command, environment, lambda said: any("url" in line for line in said))
    connector = aiohttp.TCPConnector(ssl=certificate.client_context())
    try:
        async with aiohttp.ClientSession(connector=connector) as client:
            yield RunningHost(
                json.loads(child.said[-1])["url"], client, reports, storage, environment["ORDERS_QUEUE"], child
            )
    finally:
        await child.stop()
        server.close()


@pytest.fixture(scope="session")
async def host(certificate: LoopbackCertificate, storage: str) -> AsyncIterator[RunningHost]:
    """One host for all tests that leave it as it was."""
    async with serving(certificate, storage) as running:
        yield running


@pytest.fixture
def master_key() -> str:
    """A master key that nobody else has."""
    return secrets.token_urlsafe(16)
