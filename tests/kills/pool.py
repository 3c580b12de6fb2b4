"""Several grounds at once: a case waits more than it works, so two share the machine well."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from tests.kills.cutting import Undisturbed, undisturbed
from tests.kills.ground import Ground
from tests.kills.stories import Story

Case = TypeVar("Case")
Ended = TypeVar("Ended")


class Pool:
    """Runs cases on whichever ground is free, and knows how each story ends undisturbed."""

    def __init__(self, grounds: Sequence[Ground]) -> None:
        self._free: asyncio.Queue[Ground] = asyncio.Queue()
        for ground in grounds:
            self._free.put_nowait(ground)
        self._known: dict[str, Undisturbed] = {}

    async def undisturbed(self, *stories: Story) -> list[Undisturbed]:
        """How these stories end when nothing happens; each is found out once."""
        unknown = [story for story in stories if story.name not in self._known]
        for found in await self.each(unknown, undisturbed):
            self._known[found.story.name] = found
        return [self._known[story.name] for story in stories]

    async def each(self, cases: Sequence[Case], run: Callable[[Ground, Case], Awaitable[Ended]]) -> list[Ended]:
        """Run every case; the results in the order of the cases."""

        async def one(case: Case) -> Ended:
            ground = await self._free.get()
            try:
                return await run(ground, case)
            finally:
                self._free.put_nowait(ground)

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(case)) for case in cases]
        return [task.result() for task in tasks]
