"""The app's stories called one by one, where no host takes messages: the test is the host, and says what time it is."""

import base64
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from azure.core.exceptions import ResourceNotFoundError
from azure.storage.queue.aio import QueueServiceClient

import handlers.assignment
import handlers.hr_event
import handlers.intake
import handlers.onboarding
import handlers.operations
import handlers.reconcile
from clients.settings import read_settings
from clients.tenant import Tenant
from sso.caller import Caller
from sso.model import OperationId
from sso.operation import Operation
from tests.world import World, request

QUEUES = ("onboardings", "rotations", "hr-events", "assignments")


@dataclass(frozen=True)
class Delivered:
    """One message that a host would have handed to a function."""

    queue: str
    operation: OperationId
    batch: int | None


class Hostless:
    """A tenant without a host, and the app's stories."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.now = datetime.now(UTC)
        self.settings = dict(world.state.env)  # changed before the tenant is opened
        self._tenant: Tenant | None = None

    @property
    def tenant(self) -> Tenant:
        """The app's own view of the tenant, opened with its first use, so that its tokens say what holds then."""
        if self._tenant is None:
            self._tenant = Tenant.connect(read_settings(self.settings))
        return self._tenant

    def open(self, tenant: Tenant) -> None:
        """Use this view of the tenant, which the test has opened in its own way."""
        self._tenant = tenant

    async def close(self) -> None:
        """Close the connections."""
        if self._tenant is not None:
            await self._tenant.close()
            self._tenant = None

    def later(self, **span: float) -> datetime:
        """Let time pass for the app."""
        self.now += timedelta(**span)
        return self.now

    async def at(self, now: datetime) -> None:
        """Let app and tenant have this time."""
        self.now = now
        await self.world.control("PUT", "/clock", {"now": now.isoformat()})

    async def pass_time(self, **span: float) -> None:
        """Let time pass for app and tenant."""
        await self.at(self.later(**span))

    async def sweep(self) -> None:
        """Let the sweep take up what waited for its time, and carry it out."""
        await handlers.operations.sweep(self.tenant, self.now)
        await self.run_all()

    async def accept(self, vendor: str, *, key: str | None = None, **changes: Any) -> Operation:
        """Take a request in, as `POST /onboardings` does."""
        return await handlers.intake.accept(self.tenant, request(vendor, **changes), Caller(None, key), self.now)

    async def operation(self, operation: OperationId) -> Operation:
        """The operation as it is now."""
        return await handlers.operations.find(self.tenant, operation)

    async def take(self) -> list[Delivered]:
        """Take every message that is visible now off the queues, in the order of the queues."""
        found = []
        async with QueueServiceClient.from_connection_string(self.world.state.storage) as service:
            for name in QUEUES:
                client = service.get_queue_client(name)
                try:
                    async for message in client.receive_messages(messages_per_page=32):
                        found.append(_delivered(name, json.loads(base64.b64decode(message.content))))
                        await client.delete_message(message)
                except ResourceNotFoundError:
                    continue  # made with the first message
        return found

    async def left(self) -> dict[str, int]:
        """How many messages stand on each queue, those that wait for their time too."""
        return {name: count for name, count in (await self.tenant.queues.lengths()).items() if count}

    async def run_all(self) -> None:
        """Take and carry out until no message is visible."""
        while messages := await self.take():
            for message in messages:
                await self.run(message)

    async def run(self, delivered: Delivered) -> None:
        """Carry one message out, as its trigger does; the clock goes on meanwhile, as it does within a run."""
        began = time.monotonic()
        if delivered.queue == "assignments" and delivered.batch is None:
            await handlers.assignment.start(self.tenant, delivered.operation, self.now)
            await handlers.reconcile.run(self.tenant, delivered.operation, self.now)
        elif delivered.queue == "hr-events":
            await handlers.hr_event.run(self.tenant, delivered.operation, self.now)
        elif delivered.batch is None:
            await handlers.onboarding.run(self.tenant, delivered.operation, self.now)
        else:
            await handlers.assignment.run(self.tenant, delivered.operation, delivered.batch, self.now)
        self.now += timedelta(seconds=time.monotonic() - began)


def _delivered(queue: str, content: Mapping[str, Any]) -> Delivered:
    return Delivered(queue, OperationId(content["operation"]), content.get("batch"))
