"""Grounds for stories that are cut, and the numbers at the end of the run."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from tests.kills.ground import open_ground
from tests.kills.pool import Pool

GROUNDS = 2


@pytest.fixture(scope="package")
async def pool(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Pool]:
    """Two sandboxes at speed, whose hosts can be killed."""
    folder = tmp_path_factory.mktemp("kills")
    async with contextlib.AsyncExitStack() as stack:
        opening = [open_ground(folder / f"log-{number}") for number in range(GROUNDS)]
        grounds = [await stack.enter_async_context(ground) for ground in opening]
        yield Pool(grounds)
        await asyncio.gather(*(ground.kill() for ground in grounds))
