"""The app without a host: its timers and messages are carried out here, at the time that is given, and some are killed.

A killed run is abandoned at a call: that one and all later ones are held, and its connections are cut, so that nothing
of it reaches tenant, vault or storage any more, not even the return of its lease.
"""

import asyncio
import base64
import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from azure.core.exceptions import ResourceNotFoundError
from azure.storage.queue.aio import QueueServiceClient

import handlers.assignment
import handlers.onboarding
import handlers.operations
import handlers.retention
import handlers.rotation
from clients.tenant import Tenant
from sso.errors import NotReady
from sso.model import Key, OperationId
from sso.operation import Operation
from tests.world import World
from tests.years.company import Chance
from vendors.catalog import Catalog

QUEUES = ("onboardings", "rotations", "assignments")
ROUNDS = 100  # in one hour: what is still moving after so many has other trouble
ROUND = timedelta(seconds=2)  # at the app's measure of a hundredth, longer than any lease and pause
GLANCE = 0.01  # seconds of the wall between two looks whether a run has come to the call at which it is killed


@dataclass
class Host:
    """Whatever would run in a Functions app, and what became of it."""

    world: World
    tenant: Tenant
    queues: QueueServiceClient
    chance: Chance
    now: datetime
    done: Counter[str] = field(default_factory=Counter)
    renewed: Counter[str] = field(default_factory=Counter)
    """The steps that rotations have taken, by name."""
    killed: list[str] = field(default_factory=list)
    faults: list[dict[str, Any]] = field(default_factory=list)
    touched: set[Key] = field(default_factory=set)
    """Whose application something has happened to since that was asked last."""
    moved: bool = False
    at_kill: Callable[[Key], Awaitable[None]] | None = None
    """Looks at an application while the run over it is dead and no other has begun."""
    _turns: Counter[str] = field(default_factory=Counter)

    async def deploy(self, catalog: Catalog) -> None:
        """Begin anew with other profiles, as a deployment does."""
        old, self.tenant = self.tenant, Tenant.connect(self.tenant.settings, catalog)
        await old.close()

    async def set_clock(self, now: datetime) -> None:
        """Let it be this time, for the app and for the tenant."""
        self.now = now
        await self.world.control("PUT", "/clock", {"now": now.isoformat()})

    async def tick(self) -> None:
        """The timers run, and what they bring up is carried out."""
        self.done["ticks"] += 1
        opened = died = False
        try:
            died, opened = await self._unless_killed(handlers.rotation.tick(self.tenant, self.now), "tick", "find_due")
        except NotReady:
            self.done["ticks that failed"] += 1  # the timer's next one finds what this one has not
        swept = await handlers.operations.sweep(self.tenant, self.now)
        if died or opened or swept:
            await self.settle()

    async def night(self) -> None:
        """The timer that lets the ledger forget runs."""
        self.done["rows forgotten"] += await handlers.retention.run(self.tenant, self.now)

    async def settle(self) -> None:
        """Carry out messages until none is left."""
        for _ in range(ROUNDS):
            messages = [message async for message in self._messages()]
            self.now += ROUND
            for queue, content in messages:
                await self._carry_out(queue, content)
            if not messages:
                return
        raise AssertionError(f"{self.now}: messages still came after {ROUNDS} rounds")

    async def take_stock(self) -> list[dict[str, Any]]:
        """Everything that met a fault until now."""
        told = await self.world.control("GET", f"/faults?since={len(self.faults)}")
        self.faults += told["hits"]
        return self.faults

    async def _messages(self) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        for name in QUEUES:
            client = self.queues.get_queue_client(name)
            with contextlib.suppress(ResourceNotFoundError):  # a queue is made with its first message
                async for message in client.receive_messages(messages_per_page=32, visibility_timeout=600):
                    await client.delete_message(message)
                    yield name, json.loads(base64.b64decode(message.content))

    async def _carry_out(self, queue: str, content: dict[str, Any]) -> None:
        self.moved = True
        operation = OperationId(content["operation"])
        if queue == "assignments":
            await handlers.assignment.run(self.tenant, operation, content["batch"], self.now)
            return
        found = await self.tenant.ledger.find_operation(operation)
        assert found is not None, f"a message names {operation}, which was never written"
        assert found.key is not None
        self.done["runs"] += 1
        self.touched.add(found.key)
        run = handlers.onboarding.run(self.tenant, operation, self.now)
        died, _ = await self._unless_killed(run, "run", f"{found.kind} of {found.key}", found.key)
        if died:  # the host delivers the message again
            self.now += ROUND
            await handlers.onboarding.run(self.tenant, operation, self.now)
        after = await self.tenant.ledger.find_operation(operation)
        if found.kind == "rotation" and after:
            self.renewed += _taken(after) - _taken(found)

    async def _unless_killed(
        self, run: Coroutine[Any, Any, Any], what: Literal["tick", "run"], name: str, key: Key | None = None
    ) -> tuple[bool, Any]:
        """Carry a run out, unless it is drawn to be killed: then it dies there. Returns whether, and its answer."""
        self._turns[name] += 1
        cut = self.chance.cut(what, name, self._turns[name])
        if not cut:
            return False, await run
        known = len(await self.take_stock())
        await self.world.control("PUT", "/faults", cut)
        task = asyncio.create_task(run)
        held = None
        while held is None and not task.done():
            await asyncio.wait([task], timeout=GLANCE)
            held = next((hit for hit in (await self.take_stock())[known:] if hit["fault"] == "hold"), None)
        while not task.done():
            task.cancel()  # again where it still has something to give back
            await asyncio.wait([task], timeout=GLANCE)
        await self.world.control("PUT", "/faults", [])
        if held is None or (not task.cancelled() and task.exception() is None):
            return False, await task
        self.killed.append(f"{self.now:%Y-%m-%d %H:%M}, {name}, {cut[0]['when']} {held['service']} {held['operation']}")
        if self.at_kill and key:
            await self.at_kill(key)
        return True, None


def _taken(operation: Operation) -> Counter[str]:
    return Counter(step.step for step in operation.steps if step.state == "done")
