"""A ground with two hosts on the same queues."""

from collections.abc import AsyncIterator

import pytest

from tests.kills.ground import Ground, open_ground

# A lease is 2 s here: a busy machine's hiccup is no minute of silence.
RATE = 30.0


@pytest.fixture(scope="package")
async def ground(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Ground]:
    """A sandbox whose hosts are started by the tests."""
    async with open_ground(tmp_path_factory.mktemp("writers") / "log", rate=RATE) as opened:
        yield opened


@pytest.fixture
async def two_hosts(ground: Ground) -> Ground:
    """Everything at its seed, and two hosts that share table and queues."""
    await ground.afresh()
    await ground.another_host()
    return ground
