"""How the demo talks to the app and to the sandbox's control plane, and what it says where something did not happen."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import aiohttp

from sandbox.up import State

LOOK = 0.1  # seconds between two looks at what takes a while
SETTLE = 20.0  # seconds for what must show after the app is through
PATIENCE = 20  # times that one call is repeated when it is answered 503 and asked to come back
READS = {"GET", "HEAD"}
_Found = TypeVar("_Found")


class Missing(Exception):
    """Something that the demo shows did not happen; the sentence says what."""


class Wire:
    """The app's API and the sandbox's control plane, over HTTP."""

    def __init__(self, session: aiohttp.ClientSession, state: State) -> None:
        self._session = session
        self.state = state

    async def api(self, method: str, path: str, body: object = None) -> Any:
        """Call the app; raises `Missing` with the reasons of its problem document."""
        return await self.call(method, f"{self.state.host}/api{path}", json=body)

    async def control(self, method: str, path: str, body: object = None) -> Any:
        """Call the control plane."""
        return await self.call(method, f"{self.state.control}{path}", json=body)

    async def call(self, method: str, url: str, **options: Any) -> Any:
        """Call anything of the sandbox, again where it asks for that; returns the JSON of its answer."""
        for _ in range(PATIENCE):
            async with self._session.request(method, url, **options) as response:
                if response.ok:
                    return await response.json(content_type=None)
                text = await response.text()
                if "json" in response.content_type:
                    reasons = (await response.json(content_type=None)).get("reasons", [])
                    text = " ".join(reason["detail"] for reason in reasons) or text
                problem = f"{method} {url} was answered {response.status}: {text[:500]}"
                if response.status != 503:
                    break
                pause = float(response.headers.get("Retry-After", "1"))
            await asyncio.sleep(pause)
        raise Missing(problem)

    async def writes(self, since: int) -> list[str]:
        """What was written to Graph and the vault after a sequence number."""
        return [
            f"{call['service']} {call['operation']}"
            for call in await self.control("GET", f"/calls?since={since}")
            if call["service"] in {"graph", "vault"} and call["method"] not in READS and call["operation"] != "batch"
        ]

    async def last_call(self) -> int:
        """The sequence number of the newest call."""
        return max((call["seq"] for call in await self.control("GET", "/calls")), default=0)


async def eventually(look: Callable[[], Awaitable[_Found]]) -> _Found:
    """What a look finds, repeated for a while until it finds something: replicas lag and mails travel."""
    give_up = time.monotonic() + SETTLE
    while True:
        found = await look()
        if found or time.monotonic() > give_up:
            return found
        await asyncio.sleep(LOOK)
