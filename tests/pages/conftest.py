"""A fresh tenant for whoever needs one, one onboarded vendor for whoever only presses buttons, and one browser."""

from collections.abc import AsyncIterator

import aiohttp
import pytest
from playwright.async_api import Browser

from clients.settings import read_settings
from clients.tenant import Tenant
from tests.browser import running_browser
from tests.pages.desk import Desk, Handoff
from tests.world import World


@pytest.fixture(scope="module")
async def desk(running_world: World) -> Desk:
    """One vendor with a secret is onboarded; each test of the file goes on with a hand-off of its own."""
    await running_world.reset()
    opened = Desk(running_world)
    await opened.open()
    return opened


@pytest.fixture
async def handoff(desk: Desk) -> AsyncIterator[Handoff]:
    """The next hand-off, nothing pressed yet."""
    opened = await desk.open_again()
    yield opened
    if (await desk.row(opened))["collected"]:
        # A secret that was collected in vain would be replaced with the next one, 15 seconds after the last.
        await desk.change(opened, state="acknowledged")


@pytest.fixture
async def tenant(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Tenant]:
    """The app's own view of that tenant, for stories that are called with a time of the test."""
    for name, value in desk.world.state.env.items():
        monkeypatch.setenv(name, value)
    # aiohttp, under the Azure SDKs, reads SSL_CERT_FILE only once, when it is imported: long before this sandbox.
    aiohttp.connector._SSL_CONTEXT_VERIFIED.load_verify_locations(desk.world.state.env["SSL_CERT_FILE"])  # noqa: SLF001
    opened = Tenant.connect(read_settings(desk.world.state.env))
    yield opened
    await opened.close()


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    """One browser for all."""
    async with running_browser() as opened:
        yield opened
