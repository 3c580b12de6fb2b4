"""Worlds in bad weather: sandboxes whose clock runs faster than the wall, kept by seed and lag for the whole run."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from sandbox.unkind.switches import Lag
from sandbox.up import running_sandbox
from tests.storms.weather import RATE, Stormy
from tests.world import open_world


class Worlds:
    """One sandbox at a time: two cores are not made for more."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._name = ""
        self._open = AsyncExitStack()
        self._world: Stormy | None = None

    async def world(self, seed: int, *, calm: bool, lag: Lag | None = None) -> Stormy:
        """A world at its seed."""
        name = f"{seed}-{calm}-{lag}"
        if self._world is None or name != self._name:
            await self.close()
            log = self._folder / f"log-{name}"
            state = await self._open.enter_async_context(
                running_sandbox(seed=seed, calm=calm, lag=lag, rate=RATE, log=log)
            )
            world = await self._open.enter_async_context(open_world(state, log))
            self._world, self._name = Stormy(world), name
        await self._world.world.reset()
        await self._world.world.control("PUT", "/clock", {"rate": RATE})
        return self._world

    async def close(self) -> None:
        """End the one that runs."""
        await self._open.aclose()
        self._open, self._world = AsyncExitStack(), None


@pytest.fixture(scope="session")
async def worlds(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Worlds]:
    """Worlds by seed and lag."""
    kept = Worlds(tmp_path_factory.mktemp("storms"))
    yield kept
    await kept.close()
