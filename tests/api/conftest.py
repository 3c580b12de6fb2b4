"""The running world at its seed once for each file, and the app's own clients beside it."""

import os
from collections.abc import AsyncIterator

import pytest

from clients.settings import read_settings
from clients.tenant import Tenant
from tests.world import World


@pytest.fixture(scope="module")
async def quiet(running_world: World) -> World:
    """The world at its seed when a file of tests begins; its tests refuse, or tidy up what they make."""
    await running_world.reset()
    return running_world


@pytest.fixture
async def tenant(running_world: World) -> AsyncIterator[Tenant]:
    """The app's own view of the running sandbox, in this process, for stories that are given a time of their own."""
    with pytest.MonkeyPatch.context() as environment:
        for name, value in running_world.state.env.items():
            environment.setenv(name, value)
        connected = Tenant.connect(read_settings(os.environ))
        yield connected
        await connected.close()
