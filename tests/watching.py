"""Whatever a test lets a sandbox record is read against what Graph publishes."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, ClassVar

from tests.published import problems_of

SHOWN = 20  # problems that one failure lists


class Watch:
    """The record of one sandbox, read as far as it has grown; `requests` says whether what is asked there is ours."""

    bodies: ClassVar = 0  # read by all of them

    def __init__(self, calls: Callable[[int], Awaitable[Sequence[Mapping[str, Any]]]], *, requests: bool) -> None:
        self._calls = calls
        self._requests = requests
        self._read = 0

    async def look(self) -> None:
        """Read what was recorded since the last look; raises AssertionError with what nobody publishes."""
        calls = await self._calls(self._read)
        # A call that is held has no answer yet, and is read again.
        self._read = next((call["seq"] - 1 for call in calls if call["status"] is None), self._read + len(calls))
        bodies, problems = problems_of(calls, requests=self._requests)
        Watch.bodies += bodies
        assert not problems, "Said on the wire, and not as Graph publishes it:\n" + "\n".join(problems[:SHOWN])

    def forget(self) -> None:
        """Begin again with a record that was emptied."""
        self._read = 0


WATCHES: list[Watch] = []


@asynccontextmanager
async def watched(watch: Watch) -> AsyncIterator[None]:
    """Look at this record after each test, and once more in the end."""
    WATCHES.append(watch)
    try:
        yield
        await watch.look()
    finally:
        WATCHES.remove(watch)
