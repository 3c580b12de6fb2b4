"""One sandbox with its host for the whole run; every test that asks for the world finds it at its seed."""

import ssl
from collections.abc import AsyncIterator

import aiohttp
import pytest

from sandbox.up import running_sandbox
from tests.world import World


@pytest.fixture(scope="session")
async def running_world() -> AsyncIterator[World]:
    """Everything started once, calm."""
    async with running_sandbox(calm=True) as state:
        tls = ssl.create_default_context(cafile=state.env["SSL_CERT_FILE"])
        connector = aiohttp.TCPConnector(ssl=tls)
        async with aiohttp.ClientSession(connector=connector) as session:
            yield World(state, session, tls)


@pytest.fixture
async def world(running_world: World) -> World:
    """The running world, back at its seed."""
    await running_world.reset()
    return running_world
