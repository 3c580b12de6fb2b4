"""The whole product on one machine, as tests use it: the sandbox, its host, and the API of the app between them."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from sandbox.up import State
from tests.watching import Watch, watched

BODIES: Mapping[str, Mapping[str, Any]] = {
    "clicktime": {},
    "hellotracks": {},
    "ilogon_mha": {},
    "smarttrace": {"parameters": {"InstanceName": "contoso"}},
    "thoropass": {},
}
VENDORS = tuple(BODIES)
SETTLE = 30.0  # seconds, on the wall, after which an operation that still moves is a failure
READS = {"GET", "HEAD"}


@dataclass(frozen=True)
class Reply:
    """What came back."""

    status: int
    body: Any
    text: str
    headers: Mapping[str, str]


class World:
    """A running sandbox with its host, and a client of both."""

    def __init__(self, state: State, session: aiohttp.ClientSession, tls: ssl.SSLContext, log: Path) -> None:
        self.state = state
        self.tls = tls
        self.log = log
        self.watch = Watch(self.calls, requests=True)
        self._session = session

    # The app's own API

    async def api(self, method: str, path: str, body: Any = None, **options: Any) -> Reply:
        """Call the app; `path` begins behind `/api`."""
        return await self._call(method, f"{self.state.host}/api{path}", body, **options)

    async def onboard(self, vendor: str, **changes: Any) -> dict[str, Any]:
        """Ask for an onboarding and wait until the operation rests; returns it."""
        reply = await self.api("POST", "/onboardings", request(vendor, **changes))
        assert reply.status == 202, reply.text
        return await self.rest(reply.body["operation"])

    async def plan(self, vendor: str, **changes: Any) -> dict[str, Any]:
        """The plan of an onboarding."""
        reply = await self.api("POST", "/onboardings?mode=plan", request(vendor, **changes))
        assert reply.status == 200, reply.text
        return dict(reply.body)

    async def operation(self, operation: str) -> dict[str, Any]:
        """One operation as it is now."""
        reply = await self.api("GET", f"/operations/{operation}")
        assert reply.status == 200, reply.text
        return dict(reply.body)

    async def rest(self, operation: str, *, within: float = SETTLE) -> dict[str, Any]:
        """Wait until an operation waits for a person, is done or has failed; returns it."""
        async with asyncio.timeout(within):
            while True:
                found = await self.operation(operation)
                waiting = (found["waiting_for"] or {}).get("what")
                if found["state"] in {"done", "failed"} or waiting not in {None, "replication", "throttling", "time"}:
                    return found
                await asyncio.sleep(0.1)

    # The sandbox's control plane

    async def control(self, method: str, path: str, body: Any = None) -> Any:
        """Call the control plane; returns the JSON of its answer."""
        reply = await self._call(method, f"{self.state.control}{path}", body)
        assert reply.status in {200, 204}, reply.text
        return reply.body

    async def reset(self, to: str | None = None) -> None:
        """Bring everything back to the seed, or to what was kept, once what was said until now has been read."""
        await self.watch.look()
        await self.control("POST", f"/reset?to={to}" if to else "/reset")
        self.watch.forget()

    async def collect(self, vendor: str, instance: str = "default") -> dict[str, Any]:
        """Let the vendor's side, or our own administrator for it, do what the hand-off says."""
        return dict(await self.control("POST", "/collect", {"vendor": vendor, "instance": instance}))

    async def sign_in(self, vendor: str, user: str = "b.simon", instance: str = "default") -> dict[str, Any]:
        """Sign somebody of contoso.com in at the vendor."""
        body = {"vendor": vendor, "instance": instance, "user": f"{user}@contoso.com"}
        return dict(await self.control("POST", "/sign-in", body))

    async def calls(self, since: int = 0) -> list[dict[str, Any]]:
        """Every call that the app and others made on Graph, authority and vault, after a sequence number."""
        return list(await self.control("GET", f"/calls?since={since}"))

    async def last_call(self) -> int:
        """The sequence number of the newest call."""
        return max((call["seq"] for call in await self.calls()), default=0)

    async def writes(self, since: int = 0) -> list[dict[str, Any]]:
        """Every successful write on Graph and the vault: batches by their items, reads by POST left out."""
        return [
            call
            for call in await self.calls(since)
            if call["service"] in {"graph", "vault"}
            and call["method"] not in READS
            and call["operation"] != "batch"
            and (call["status"] or 500) < 400
        ]

    async def mailbox(self) -> list[dict[str, Any]]:
        """Every mail that was sent."""
        return list(await self.control("GET", "/mailbox"))

    async def dump(self) -> dict[str, Any]:
        """The tenant's objects and the vault's names."""
        return dict(await self.control("GET", "/dump"))

    async def application(self, vendor: str, instance: str = "default") -> dict[str, Any]:
        """The application object of one key, from the dump."""
        name = f"gatehouse-{vendor}-{instance}"
        found = [a for a in (await self.dump())["applications"] if a.get("uniqueName") == name]
        assert len(found) == 1, f"{len(found)} applications are named {name}"
        return dict(found[0])

    async def service_principal(self, vendor: str, instance: str = "default") -> dict[str, Any]:
        """The service principal of one key, from the dump."""
        client_id = (await self.application(vendor, instance))["appId"]
        found = [s for s in (await self.dump())["service_principals"] if s["appId"] == client_id]
        assert len(found) == 1, f"{len(found)} service principals of {client_id}"
        return dict(found[0])

    async def _call(self, method: str, url: str, body: Any = None, **options: Any) -> Reply:
        async with self._session.request(method, url, json=body, **options) as response:
            text = await response.text()
            found = await response.json(content_type=None) if "json" in response.content_type else None
            return Reply(response.status, found, text, response.headers)


@asynccontextmanager
async def open_world(state: State, log: Path) -> AsyncIterator[World]:
    """A world for a sandbox that runs, whose every word is read."""
    tls = ssl.create_default_context(cafile=state.env["SSL_CERT_FILE"])
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls)) as session:
        world = World(state, session, tls, log)
        async with watched(world.watch):
            yield world


def request(vendor: str, **changes: Any) -> dict[str, Any]:
    """An onboarding's body for one of the five, with some fields changed; a field changed to None is left out."""
    body = {
        "vendor": vendor,
        "owner": "app-owner@contoso.com",
        "assignments": {"users": ["b.simon@contoso.com"], "groups": ["Sales"]},
        "requested_by": "helpdesk@contoso.com",
        **BODIES.get(vendor, {}),
        **changes,
    }
    return {name: value for name, value in body.items() if value is not None}
