"""One sandbox with its host for a worker's whole run; every test that asks for the world finds it at its seed."""

import sys
from collections.abc import AsyncIterator

import pytest
from hypothesis import settings

from sandbox.up import running_sandbox
from tests.world import World, open_world

# The same examples every time, so that a red test stays red; and a busy machine says nothing about the code.
settings.register_profile("gatehouse", deadline=None, derandomize=True)
settings.load_profile("gatehouse")

pytest_plugins = ["tests.numbers", "tests.looking", "tests.workers"]


@pytest.fixture(scope="session")
async def running_world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """Everything started once, calm."""
    log = tmp_path_factory.mktemp("sandbox") / "log"
    async with running_sandbox(calm=True, log=log) as state, open_world(state, log) as world:
        yield world


@pytest.fixture
async def world(running_world: World) -> AsyncIterator[World]:
    """The running world, back at its seed; what it logs meanwhile is shown with a test that fails."""
    await running_world.reset()
    begin = running_world.log.stat().st_size
    yield running_world
    with running_world.log.open("rb") as log:
        log.seek(begin)
        sys.stderr.write(log.read().decode(errors="replace"))
