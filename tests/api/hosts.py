"""Another host of the app beside the running sandbox, with some settings changed or left out."""

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from sandbox.certificate_authority import issue_loopback_certificate
from sandbox.child import Child
from tests.world import Reply, World

CLONE = Path(__file__).resolve().parents[2]
MASTER_KEY = "SANDBOX_HOST_MASTER_KEY"


class OtherHost:
    """A host and a client that trusts it."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self._url = url
        self._session = session

    async def call(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        """Call an address of this host; `path` begins with `/api` or `/admin`."""
        async with self._session.request(method, f"{self._url}{path}", json=body, headers=headers) as response:
            text = await response.text()
            found = json.loads(text) if "json" in response.content_type else None
            return Reply(response.status, found, text, response.headers)


@asynccontextmanager
async def another_host(world: World, settings: Mapping[str, str | None], *options: str) -> AsyncIterator[OtherHost]:
    """The app in a process of its own, against the same tenant and storage; a setting of None is left out."""
    environment = {"PATH": os.environ["PATH"], **world.state.env}
    for name, value in settings.items():
        environment.pop(name, None)
        if value is not None:
            environment[name] = value
    with tempfile.TemporaryDirectory(prefix="gatehouse-host-") as folder:
        certificate = issue_loopback_certificate(Path(folder))
        command = [sys.executable, "-m", "sandbox.host", "--app", str(CLONE), "--end-with-stdin"]
        command += ["--certfile", str(certificate.certificate), "--keyfile", str(certificate.key), *options]
        child = await Child.start(
            "Another host", command, environment, lambda said: any("url" in line for line in said)
        )
        url = json.loads(next(line for line in child.said if "url" in line))["url"]
        connector = aiohttp.TCPConnector(ssl=certificate.client_context())
        try:
            async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(30)) as session:
                yield OtherHost(url, session)
        finally:
            await asyncio.shield(child.stop())
