"""One sandbox with its host for a worker's whole run; every test that asks for the world finds it at its seed."""

import ssl
import sys
from collections.abc import AsyncIterator

import aiohttp
import pytest
from hypothesis import settings

from sandbox.up import running_sandbox
from tests.world import World

# The same examples every time, so that a red test stays red; and a busy machine says nothing about the code.
settings.register_profile("gatehouse", deadline=None, derandomize=True)
settings.load_profile("gatehouse")

pytest_plugins = ["tests.numbers", "tests.workers"]


@pytest.fixture(scope="session")
async def running_world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """Everything started once, calm."""
    log = tmp_path_factory.mktemp("sandbox") / "log"
    async with running_sandbox(calm=True, log=log) as state:
        tls = ssl.create_default_context(cafile=state.env["SSL_CERT_FILE"])
        connector = aiohttp.TCPConnector(ssl=tls)
        async with aiohttp.ClientSession(connector=connector) as session:
            yield World(state, session, tls, log)


@pytest.fixture
async def world(running_world: World) -> AsyncIterator[World]:
    """The running world, back at its seed; what it logs meanwhile is shown with a test that fails."""
    await running_world.reset()
    begin = running_world.log.stat().st_size
    yield running_world
    with running_world.log.open("rb") as log:
        log.seek(begin)
        sys.stderr.write(log.read().decode(errors="replace"))
